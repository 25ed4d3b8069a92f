"""Nested structures of lists, tuples and dicts: flatten, map, pack.

Order of leaves: lists and tuples by position, dicts by sorted key, `OrderedDict` by insertion. `None` is a leaf.
"""

from collections import OrderedDict


def is_nested(structure):
    """True for a list, tuple or dict."""
    return isinstance(structure, (list, tuple, dict))


def _items(structure):
    """(key, child) pairs of one nesting level, in flatten order."""
    if isinstance(structure, OrderedDict):
        return list(structure.items())
    if isinstance(structure, dict):
        try:
            return [(k, structure[k]) for k in sorted(structure)]
        except TypeError:  # keys of mixed types cannot be sorted
            return list(structure.items())
    return list(enumerate(structure))


def _rebuild(structure, items):
    """A structure of the same type as `structure` from (key, child) pairs."""
    if isinstance(structure, dict):
        by_key = dict(items)
        pairs = [(k, by_key[k]) for k in structure]
        return type(structure)(pairs)
    values = [v for _, v in items]
    if hasattr(structure, "_fields"):  # a namedtuple takes its fields one by one
        return type(structure)(*values)
    if isinstance(structure, tuple):
        return tuple(values)
    return list(values)


def flatten(structure):
    """The leaves of `structure` as a list."""
    if not is_nested(structure):
        return [structure]
    leaves = []
    for _, child in _items(structure):
        if is_nested(child):
            leaves.extend(flatten(child))
        else:
            leaves.append(child)
    return leaves


def flatten_with_path(structure, path=()):
    """(path, leaf) pairs, where `path` is a tuple of keys and positions."""
    if not is_nested(structure):
        return [(path, structure)]
    pairs = []
    for key, child in _items(structure):
        pairs.extend(flatten_with_path(child, path + (key,)))
    return pairs


def _kind(structure):
    return dict if isinstance(structure, dict) else type(structure)


def assert_same_structure(a, b):
    """Raises ValueError unless `a` and `b` nest in the same way (same types, lengths and keys)."""
    if not is_nested(a) and not is_nested(b):
        return
    same = is_nested(a) and is_nested(b) and _kind(a) is _kind(b) and len(a) == len(b)
    if same and isinstance(a, dict):
        same = set(a) == set(b)
    if not same:
        raise ValueError(f"`a` and `b` don't have the same structure, received {_brief(a)} and {_brief(b)}")
    for (_, x), (_, y) in zip(_items(a), _items(b)):
        assert_same_structure(x, y)


def _brief(structure):
    return str(map_structure(lambda _: ".", structure))


def map_structure(function, *structures, none_is_leaf=True):
    """`function` applied leaf by leaf; the result nests like the first structure.

    With `none_is_leaf=False` a `None` stays `None` and `function` does not see it.
    """
    if not structures:
        raise ValueError("map_structure needs at least one structure, received none")
    for other in structures[1:]:
        if none_is_leaf or structures[0] is not None:
            assert_same_structure(structures[0], other)
    return _map(function, structures, none_is_leaf)


def _map(function, structures, none_is_leaf):
    first = structures[0]
    if not is_nested(first):
        if first is None and not none_is_leaf:
            return None
        return function(*structures)
    keys = [k for k, _ in _items(first)]
    children = [(k, _map(function, [s[k] for s in structures], none_is_leaf)) for k in keys]
    return _rebuild(first, children)


def map_structure_up_to(shallow, function, *structures):
    """Like `map_structure`, but the leaves are those of `shallow`; `function` gets whole sub-structures."""
    if not is_nested(shallow):
        return function(*structures)
    children = []
    for key, child in _items(shallow):
        for s in structures:
            if not is_nested(s) or len(s) != len(shallow):
                raise ValueError(f"structure does not match {_brief(shallow)}, received {_brief(s)}")
        children.append((key, map_structure_up_to(child, function, *[s[key] for s in structures])))
    return _rebuild(shallow, children)


def pack_sequence_as(structure, flat_sequence):
    """The inverse of `flatten`: the leaves of `flat_sequence` in the nesting of `structure`."""
    if is_nested(flat_sequence) and not isinstance(flat_sequence, (list, tuple)):
        raise TypeError(f"flat_sequence must be a list or tuple, received {type(flat_sequence).__name__}")
    leaves = list(flat_sequence)
    if not is_nested(structure):
        if len(leaves) != 1:
            raise ValueError(f"a single leaf needs 1 value, received {len(leaves)}")
        return leaves[0]
    count = len(flatten(structure))
    if count != len(leaves):
        raise ValueError(f"the structure has {count} leaves, received {len(leaves)} values")
    source = iter(leaves)
    return _pack(structure, source)


def _pack(structure, source):
    if not is_nested(structure):
        return next(source)
    return _rebuild(structure, [(k, _pack(child, source)) for k, child in _items(structure)])


def traverse(func, structure, top_down=True):
    """Calls `func` on every node; what it returns (other than None) takes the node's place."""
    if top_down:
        replaced = func(structure)
        if replaced is not None:
            return replaced
    if is_nested(structure):
        structure = _rebuild(structure, [(k, traverse(func, c, top_down)) for k, c in _items(structure)])
    elif top_down:
        return structure
    if not top_down:
        replaced = func(structure)
        return structure if replaced is None else replaced
    return structure


def lists_to_tuples(structure):
    """The same structure with every list turned into a tuple."""
    if not is_nested(structure):
        return structure
    children = [(k, lists_to_tuples(c)) for k, c in _items(structure)]
    if isinstance(structure, list):
        return tuple(c for _, c in children)
    return _rebuild(structure, children)

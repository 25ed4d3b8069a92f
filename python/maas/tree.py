"""Nested structures of lists, tuples and dicts: flatten, map, pack. Dicts are walked in the order of their sorted
keys.
"""

from maas import missing_names


def is_nested(x):
    """True for a list, tuple or dict (also subclasses such as named tuples)."""
    return isinstance(x, (list, tuple, dict))


def _is_namedtuple(x):
    return isinstance(x, tuple) and hasattr(x, "_fields")


def _sorted_keys(d):
    try:
        return sorted(d)
    except TypeError:  # keys of mixed types keep their order
        return list(d)


def _rebuild(like, values):
    """A structure of the kind of `like` that holds `values`, given in flattening order."""
    if isinstance(like, dict):
        found = dict(zip(_sorted_keys(like), values))
        ordered = {k: found[k] for k in like}
        return ordered if type(like) in (dict,) or not _rebuildable(like) else type(like)(ordered)
    if _is_namedtuple(like):
        return type(like)(*values)
    if isinstance(like, tuple):
        return tuple(values)
    return list(values)


def _rebuildable(like):
    # Tracked and default dicts come back as plain dicts.
    return type(like).__module__ == "collections" and type(like).__name__ == "OrderedDict"


def _children(x):
    if isinstance(x, dict):
        return [x[k] for k in _sorted_keys(x)]
    return list(x)


def flatten(structure):
    """List of the leaves. A leaf gives a list of one; `None` is a leaf."""
    if not is_nested(structure):
        return [structure]
    out = []
    for child in _children(structure):
        if is_nested(child):
            out.extend(flatten(child))
        else:
            out.append(child)
    return out


def flatten_with_path(structure):
    """List of `(path, leaf)`, where path is a tuple of keys and positions."""
    if not is_nested(structure):
        return [((), structure)]
    keys = _sorted_keys(structure) if isinstance(structure, dict) else range(len(structure))
    return [((k, *path), leaf) for k in keys for path, leaf in flatten_with_path(structure[k])]


def map_structure(func, *structures):
    """Apply `func` to the leaves of structures of the same form; returns a structure of that form.

    Raises:
        ValueError: if the structures differ in form.
    """
    first = structures[0]
    if not is_nested(first):
        if any(is_nested(s) for s in structures[1:]):
            raise ValueError(f"map_structure: the structures differ in form, received {structures}")
        return func(*structures)
    for other in structures[1:]:
        _check_same_level(first, other)
    return _rebuild(first, [map_structure(func, *c) for c in zip(*(_children(s) for s in structures))])


def _check_same_level(a, b):
    same = is_nested(b) and len(a) == len(b) and isinstance(a, dict) == isinstance(b, dict)
    if same and isinstance(a, dict):
        same = set(a) == set(b)
    elif same:
        same = isinstance(a, tuple) == isinstance(b, tuple)
    if not same:
        raise ValueError(f"the two structures differ in form: expected {a}, received {b}")


def assert_same_structure(a, b):
    """Raise ValueError unless `a` and `b` have the same form (kinds of containers, lengths, keys)."""
    if not is_nested(a):
        if is_nested(b):
            raise ValueError(f"the two structures differ in form: expected {a}, received {b}")
        return
    _check_same_level(a, b)
    for x, y in zip(_children(a), _children(b)):
        assert_same_structure(x, y)


def pack_sequence_as(structure, flat_sequence):
    """A structure of the form of `structure` filled with `flat_sequence`, the reverse of `flatten`."""
    flat = list(flat_sequence)
    expected = len(flatten(structure))
    if len(flat) != expected:
        raise ValueError(f"pack_sequence_as: the structure has {expected} leaves, received {len(flat)} values")
    values = iter(flat)

    def fill(s):
        if not is_nested(s):
            return next(values)
        return _rebuild(s, [fill(c) for c in _children(s)])

    return fill(structure)


def is_shape(x):
    """True for a tuple or list of sizes: ints and None."""
    return isinstance(x, (list, tuple)) and all(
        d is None or (isinstance(d, int) and not isinstance(d, bool)) for d in x
    )


def map_shape_structure(func, structure):
    """`map_structure` whose leaves are shapes (tuples or lists of ints and None)."""
    if is_shape(structure):
        return func(tuple(structure))
    if is_nested(structure):
        return _rebuild(structure, [map_shape_structure(func, c) for c in _children(structure)])
    raise ValueError(f"map_shape_structure: expected shapes as leaves, received {structure}")


def lists_to_tuples(structure):
    """The same structure with every list turned into a tuple."""
    if not is_nested(structure):
        return structure
    out = _rebuild(structure, [lists_to_tuples(c) for c in _children(structure)])
    return tuple(out) if isinstance(out, list) else out


class MAP_TO_NONE:  # noqa: N801, Keras's name
    """What the function given to `traverse` returns to put None in place of a sub-structure."""


def traverse(func, structure, top_down=True):
    """Replace sub-structures for which `func` returns something other than None; `MAP_TO_NONE` makes them None."""
    if top_down:
        new = func(structure)
        if new is not None:
            return None if new is MAP_TO_NONE else new
    if is_nested(structure):
        structure = _rebuild(structure, [traverse(func, c, top_down) for c in _children(structure)])
    if not top_down:
        new = func(structure)
        if new is not None:
            return None if new is MAP_TO_NONE else new
    return structure


def map_structure_up_to(shallow_structure, func, *structures):
    """`map_structure` down to the leaves of `shallow_structure`; what lies deeper is handed to `func` as it is.

    Raises:
        TypeError: without structures, or if `func` cannot be called.
        ValueError: if a structure does not have the form of `shallow_structure` down to its leaves.
    """
    if not structures or not callable(func):
        raise TypeError(f"map_structure_up_to: a function and structures are needed, received {func!r}, {structures}")
    if not is_nested(shallow_structure):
        return func(*structures)
    for other in structures:
        _check_same_level(shallow_structure, other)
    parts = zip(_children(shallow_structure), *(_children(s) for s in structures))
    return _rebuild(shallow_structure, [map_structure_up_to(shallow, func, *rest) for shallow, *rest in parts])


def assert_same_paths(a, b):
    """Raise ValueError unless the leaves of `a` and `b` have the same paths; kinds of containers do not matter."""
    ours, theirs = ({path for path, _ in flatten_with_path(s)} for s in (a, b))
    if ours != theirs:
        raise ValueError(
            f"the two structures have different paths: only the first has {sorted(ours - theirs, key=str)}, "
            f"received {sorted(theirs - ours, key=str)} in the second alone"
        )


__getattr__ = missing_names.getattr_of(__name__)

"""Which objects of a model hold state, and under which paths Keras's files keep it.

A path is made of attribute names: `layers/dense`, `layers/lstm/cell`, `optimizer`. Members of a list, tuple or dict are
named by their class in snake case with a running number (`dense`, `dense_1`), because layer names are not reproducible.
Public attributes come before private ones, and an object's state is written under the first path that reaches it.
"""

import functools

from maas.backend.naming import to_snake_case

# More paths than this through one model means that its attributes form a maze, not a tree.
_MAX_VISITS = 100_000


@functools.cache
def _types():
    """(Layer, types whose state can be saved); imported on first use because layers import this package's users."""
    from maas.backend.operation import Operation
    from maas.layers.layer import Layer
    from maas.losses.loss import Loss
    from maas.metrics.metric import Metric
    from maas.optimizers.optimizer import Optimizer

    return Layer, (Operation, Optimizer, Metric, Loss)


@functools.cache
def _base_attributes(base):
    """Names that every object of a kind has: bookkeeping, not the user's state."""
    names = set(dir(base))
    layer_class, (_, optimizer_class, *_) = _types()
    if base is layer_class:
        names |= set(vars(layer_class(name="reference")))
    elif base is optimizer_class:
        # The base class needs nothing but a learning rate.
        names |= set(vars(optimizer_class(0.1, name="reference")))
    return frozenset(names)


def _base_of(obj):
    layer_class, kinds = _types()
    return layer_class if isinstance(obj, layer_class) else next(k for k in kinds if isinstance(obj, k))


def is_saveable(obj):
    """Whether an object may hold state of its own or have parts that do."""
    return isinstance(obj, _types()[1])


def _is_container(obj):
    return isinstance(obj, (list, tuple, dict))


def _skipped_names(obj):
    skipped = _base_attributes(_base_of(obj))
    kinds = {c.__name__ for c in type(obj).__mro__ if c.__module__.startswith("maas.")}
    if "Functional" in kinds:
        skipped = skipped | {"operations", "_operations"}
    if "Sequential" in kinds:
        skipped = skipped | {"_functional"}
    return skipped, bool(kinds & {"Functional", "Sequential"})


def children(obj):
    """(attribute name, saveable or container) of one object, in the order in which Keras visits them."""
    skipped, layers_first = _skipped_names(obj)
    found = []
    if layers_first:
        found.append(("layers", obj.layers))
    for name in sorted(dir(obj), key=lambda n: f"~{n}" if n.startswith("_") else n):
        if name.startswith("__") or name in skipped:
            continue
        try:
            value = getattr(obj, name)
        except Exception:  # a property that is not ready yet has no state
            continue
        if is_saveable(value) or _is_container(value):
            found.append((name, value))
    return found


def _members(container, path, seen):
    """(path, saveable) of the members of a container, nested containers included."""
    if id(container) in seen:
        return
    seen.add(id(container))
    used = {}
    for value in container.values() if isinstance(container, dict) else container:
        if is_saveable(value):
            name = to_snake_case(getattr(value, "keras_class", type(value).__name__))
        elif _is_container(value):
            name = "container"
        else:
            continue
        number = used.get(name, 0)
        used[name] = number + 1
        where = f"{path}/{name}_{number}" if number else f"{path}/{name}"
        if is_saveable(value):
            yield where, value
        else:
            yield from _members(value, where, seen)


def _steps(obj):
    """(relative path, saveable) of everything that an object reaches directly."""
    steps = []
    for name, value in children(obj):
        if is_saveable(value):
            steps.append((name, value))
        else:
            steps.extend(_members(value, name, set()))
    return steps


def walk(root):
    """(path, object) of every saveable that a model reaches, each once, under its first path; the root's is ""."""
    seen, out = set(), []
    stack = [("", root)]
    while stack:
        path, obj = stack.pop()
        if id(obj) in seen:
            continue
        seen.add(id(obj))
        out.append((path, obj))
        steps = _steps(obj)
        stack.extend((f"{path}/{step}" if path else step, child) for step, child in reversed(steps))
    return out


def all_paths(root):
    """dict of object id to every path that reaches it, first path first; other versions' files may use a later one."""
    steps, paths, visits = {}, {}, 0
    stack = [("", root, frozenset())]
    while stack:
        path, obj, above = stack.pop()
        visits += 1
        if id(obj) in above or visits > _MAX_VISITS:
            continue
        paths.setdefault(id(obj), []).append(path)
        if id(obj) not in steps:
            steps[id(obj)] = _steps(obj)
        above = above | {id(obj)}
        for step, child in reversed(steps[id(obj)]):
            stack.append((f"{path}/{step}" if path else step, child, above))
    return paths

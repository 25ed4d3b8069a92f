"""Attribute tracking: variables, layers, metrics and seed generators set on a layer (also inside lists and dicts)
are found by it.
"""

import functools

from maas._core import touch_traces, trace_epoch


@functools.lru_cache(maxsize=4096)
def kind_of(cls):
    """Which store objects of this class go to: "variable", "layer", "metric", "seed", or None."""
    names = {c.__name__ for c in cls.__mro__ if c.__module__.split(".")[0] == "maas"}
    # By name: a test by class would make every layer import metrics and random.
    for base, kind in (("Variable", "variable"), ("Metric", "metric"), ("Layer", "layer"), ("SeedGenerator", "seed")):
        if base in names:
            return kind
    return None


_PLAIN = (str, int, float, bool, type(None), bytes)


class Tracker:
    """Stores of one layer, and its version: a count of the changes that may alter what a trace of the layer does."""

    def __init__(self):
        self.trainable_variables, self.non_trainable_variables = [], []
        self.layers, self.metrics, self.seed_generators = [], [], []
        self.locked = False
        self.version = 0
        self._ids = set()

    def touch(self):
        self.version += 1
        touch_traces()

    def track(self, value):
        """Store `value` if it is state; lists, tuples and dicts become tracked copies. Returns what to keep as the
        attribute.
        """
        if isinstance(value, _PLAIN):
            return value
        kind = kind_of(type(value))
        if kind is not None:
            self.add(kind, value)
            return value
        t = type(value)
        if t is list:
            return TrackedList(value, self)
        if t is dict:
            return TrackedDict(value, self)
        if t is set:
            return TrackedSet(value, self)
        if isinstance(value, tuple):
            for v in value:
                self.track(v)
        return value

    def add(self, kind, value):
        if id(value) in self._ids:
            return
        if self.locked:
            raise ValueError(
                "a layer that is built takes no new variables or sub-layers; make them in `__init__()` or in "
                "`build()`, "
                f"received {value!r}"
            )
        self._ids.add(id(value))
        if kind == "variable":
            (self.trainable_variables if value.trainable else self.non_trainable_variables).append(value)
        else:
            {"layer": self.layers, "metric": self.metrics, "seed": self.seed_generators}[kind].append(value)

    def untrack(self, value):
        if id(value) not in self._ids:
            return
        self._ids.discard(id(value))
        for store in (
            self.trainable_variables,
            self.non_trainable_variables,
            self.layers,
            self.metrics,
            self.seed_generators,
        ):
            store[:] = [v for v in store if v is not value]


def global_epoch():
    """Raised with every tracker's version, so that "nothing changed anywhere" is one comparison."""
    return trace_epoch()


class TrackedList(list):
    """A list attribute of a layer; what is put in later is tracked too."""

    def __init__(self, values=(), tracker=None):
        super().__init__(tracker.track(v) if tracker else v for v in values)
        self.tracker = tracker

    def _in(self, value):
        if self.tracker is None:
            return value
        self.tracker.touch()
        return self.tracker.track(value)

    def _out(self, value):
        if self.tracker is not None:
            self.tracker.touch()
            self.tracker.untrack(value)
        return value

    def append(self, value):
        super().append(self._in(value))

    def insert(self, index, value):
        super().insert(index, self._in(value))

    def extend(self, values):
        super().extend([self._in(v) for v in values])

    def __iadd__(self, values):
        self.extend(values)
        return self

    def __setitem__(self, index, value):
        super().__setitem__(index, [self._in(v) for v in value] if isinstance(index, slice) else self._in(value))

    def pop(self, index=-1):
        return self._out(super().pop(index))

    def remove(self, value):
        super().remove(value)
        self._out(value)

    def clear(self):
        for v in self:
            self._out(v)
        super().clear()

    def __delitem__(self, index):
        for v in self[index] if isinstance(index, slice) else [self[index]]:
            self._out(v)
        super().__delitem__(index)

    def __reduce__(self):
        return (list, (list(self),))


class TrackedDict(dict):
    """A dict attribute of a layer; what is put in later is tracked too."""

    def __init__(self, values=(), tracker=None):
        super().__init__({k: tracker.track(v) for k, v in dict(values).items()} if tracker else values)
        self.tracker = tracker

    def __setitem__(self, key, value):
        if self.tracker is not None:
            self.tracker.touch()
            value = self.tracker.track(value)
        super().__setitem__(key, value)

    def update(self, *args, **kwargs):
        for k, v in dict(*args, **kwargs).items():
            self[k] = v

    def setdefault(self, key, default=None):
        if key not in self:
            self[key] = default
        return self[key]

    def __delitem__(self, key):
        if self.tracker is not None:
            self.tracker.touch()
            self.tracker.untrack(self[key])
        super().__delitem__(key)

    def pop(self, key, *default):
        if key in self and self.tracker is not None:
            self.tracker.touch()
            self.tracker.untrack(self[key])
        return super().pop(key, *default)

    def __reduce__(self):
        return (dict, (dict(self),))


class TrackedSet(set):
    """A set attribute of a layer; what is put in later is tracked too."""

    def __init__(self, values=(), tracker=None):
        super().__init__(tracker.track(v) if tracker else v for v in values)
        self.tracker = tracker

    def add(self, value):
        if self.tracker is not None:
            self.tracker.touch()
            value = self.tracker.track(value)
        super().add(value)

    def update(self, *others):
        for values in others:
            for v in values:
                self.add(v)

    def __reduce__(self):
        return (set, (set(self),))

"""What a benchmark row is: a model made from sizes, and random inputs for it."""

from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.net import Net


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        label: str, its name; `{sizes}` are filled in.
        make: function (**sizes) -> maas model.
        sizes: dict, what `make` gets.
        batch: int, rows of every input.
        fixed: names of sizes that neighbours keep, "batch" among them where it is no size of its own.
        high: int, token ids are below it.
        program: bool, maas runs the compiled program; else the model is called as users do.
        slow: bool, only measured when asked for by name or with --all.
    """

    label: str
    make: object
    sizes: dict = field(default_factory=dict)
    batch: int = 1
    fixed: tuple = ()
    high: int = 2
    program: bool = False
    slow: bool = False

    def net(self, seed=1):
        """Config, weights and inputs."""
        from maas.zoo import randomize_statistics

        model, rng = randomize_statistics(self.make(**self.sizes)), np.random.default_rng(seed)
        inputs = []
        for x in model.inputs:
            shape = (self.batch, *x.shape[1:])
            whole = "int" in str(x.dtype)
            high = self.high if x.name != "segment_ids" else 2
            inputs.append(rng.integers(0, high, shape).astype("int32") if whole else normal(rng, shape))
        return Net.of(model, inputs)

    def neighbour(self, rng, grown):
        """The row with other sizes: each plus or minus 1, or, `grown`, some of them times 1.5."""
        names = [n for n in (*self.sizes, "batch") if n not in self.fixed and isinstance(self._size(n), int)]
        chosen = set(rng.choice(names, rng.integers(1, len(names) + 1), replace=False)) if grown else set(names)

        def other(n):
            size = self._size(n)
            if n not in chosen:
                return size
            return -(-3 * size // 2) if grown else size + int(rng.choice((-1, 1) if size > 1 else (1,)))

        new = {n: other(n) for n in names}
        batch = new.pop("batch", self.batch)
        told = " ".join(f"{n}={v}" for n, v in (*new.items(), ("batch", batch)))
        return replace(self, label=f"{self.label} near: {told}", sizes={**self.sizes, **new}, batch=batch)

    def _size(self, name):
        return self.batch if name == "batch" else self.sizes[name]


def normal(rng, shape):
    return rng.standard_normal(shape, "float32")

"""A row's answer must not depend on the company it keeps."""

import numpy as np


def assert_invariant(model, x, threads=(1, 2), seed=0):
    """Raise unless every row of `model(x)` has the same bits alone, in any batch, at any place and with any threads.

    Args:
        model: a model, or a function of one array of rows.
        x: array whose first axis is the batch.
        threads: numbers of threads to try.
        seed: int, of the orders and cuts that are tried.

    Raises:
        AssertionError: naming the row and the batch in which it differs.
    """
    from maas import _core

    rng, x = np.random.default_rng(seed), np.asarray(x)

    def run(rows):
        y = model(np.ascontiguousarray(rows))
        return [np.asarray(v) for v in (y if isinstance(y, (list, tuple)) else [y])]

    before = _core.get_num_threads()
    try:
        _core.set_num_threads(threads[0])
        expected = [np.concatenate(parts) for parts in zip(*(run(x[i : i + 1]) for i in range(len(x))))]
        for n in threads:
            _core.set_num_threads(n)
            order = rng.permutation(len(x))
            cuts = np.sort(rng.integers(0, len(x) + 1, 2))
            for rows in (np.arange(len(x)), order, *(part for part in np.split(order, cuts) if len(part))):
                for y, whole in zip(run(x[rows]), expected):
                    bad = [int(r) for r, a, b in zip(rows, y, whole[rows]) if a.tobytes() != b.tobytes()]
                    if bad:
                        raise AssertionError(
                            f"row {bad[0]} alone and in a batch of {len(rows)} with {n} threads gives different bits"
                        )
    finally:
        _core.set_num_threads(before)

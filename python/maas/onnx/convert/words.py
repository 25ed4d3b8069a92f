"""Counts of groups of ids."""

import numpy as np

from maas import _core, ops
from maas.onnx.registry import converts


@converts("TfIdfVectorizer")
def tf_idf_vectorizer(call, x):
    """How often each group of ids of the pool comes in a row, next to each other or with equal gaps."""
    pool, starts = call.attr("pool_int64s"), call.need("ngram_counts")
    if pool is None:
        raise NotImplementedError("groups of integers are available, received pool_strings")
    places, mode = np.array(call.need("ngram_indexes")), call.need("mode")
    weights = np.array(call.attr("weights", np.ones(len(places))), "float32")
    if mode not in ("TF", "IDF", "TFIDF"):
        raise ValueError(f"mode must be TF, IDF or TFIDF, received {mode!r}")
    row = _core.reshape(x, shape=[1, -1]) if x.ndim == 1 else x
    counts, of, done = [], [], 0
    for size, (begin, end) in enumerate(zip(starts, [*starts[1:], len(pool)]), start=1):
        groups = np.array(pool[begin:end], x.dtype).reshape(-1, size)
        mine = np.arange(done, done + len(groups))
        done += len(groups)
        if not len(groups) or not call.need("min_gram_length") <= size <= call.need("max_gram_length"):
            continue
        counts.append(_counts(row, groups, 1 if size == 1 else call.need("max_skip_count") + 1))
        of.append(mine)
    width = int(places.max(initial=-1)) + 1
    if not counts:
        y = ops.zeros((row.dims[0], width), "float32")
    else:
        y, of = _core.concatenate(*counts, axis=1), np.concatenate(of)
        if mode == "IDF":
            y = ops.cast(_core.greater(y, 0.0), "float32")
        to = np.zeros((len(of), width), "float32")
        to[np.arange(len(of)), places[of]] = 1 if mode == "TF" else weights[of]
        y = ops.matmul(y, ops.convert_to_tensor(to))
    return _core.reshape(y, shape=[-1]) if x.ndim == 1 else y


def _counts(rows, groups, gaps):
    """float32 (rows, groups)."""
    n, total = rows.dims[1], ops.zeros((rows.dims[0], len(groups)), "float32")
    for gap in range(1, gaps + 1):
        windows = n - (groups.shape[1] - 1) * gap
        if isinstance(windows, int) and windows <= 0:
            continue
        same = None
        for k in range(groups.shape[1]):
            ids = _core.reshape(rows[:, k * gap : k * gap + windows], shape=[rows.dims[0], windows, 1])
            found = _core.equal(ids, ops.convert_to_tensor(groups[:, k]))
            same = found if same is None else _core.logical_and(same, found)
        total = _core.add(total, _core.sum(ops.cast(same, "float32"), axis=[1]))
    return total

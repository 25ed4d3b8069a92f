"""From what users pass (NumPy, pandas, torch, lists of arrays) to the arrays that a compiled step reads."""

import numbers

import numpy as np

from maas import backend, tree

# The dtypes that compiled steps take as they are. Others are cast: floats to floatx, small ints to int32.
_KEPT = ("bool", "int32", "int64", "float32", "float64")


def is_array_like(x):
    """True for anything with rows that NumPy can read: arrays, tensors, pandas objects."""
    return isinstance(x, np.ndarray) or hasattr(x, "__array__") or hasattr(x, "__dlpack__")


def to_numpy(x, name):
    """`x` as a NumPy array of numbers.

    Raises:
        TypeError: if `x` is no array or does not hold numbers.
    """
    if not isinstance(x, np.ndarray):
        x = _foreign(x, name)
    if x.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):  # dtypes of the package ml_dtypes
        x = x.astype("float32")
    refuse_strings(name, x)
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold numbers, received dtype {x.dtype}")
    return x


def refuse_strings(name, x):
    """TypeError, with what to do, if `x` is a string or an array of them."""
    x = np.asarray(x) if isinstance(x, (str, bytes)) else x
    first = x.flat[0] if isinstance(x, np.ndarray) and x.dtype.kind in "USO" and x.size else None
    if isinstance(first, (str, bytes)):
        raise TypeError(
            f"{name} must hold numbers: strings are looked up outside of the Graph, so apply StringLookup or "
            f"TextVectorization first and give the model their output, received dtype {x.dtype}"
        )


def _foreign(x, name):
    module = type(x).__module__.partition(".")[0]
    if module == "torch":
        x = x.detach().cpu()
    elif module == "pandas" and getattr(x, "ndim", 2) == 1:
        return np.expand_dims(x.to_numpy(), -1)  # a column keeps its axis, as in a table
    if hasattr(x, "__array__"):
        return np.asarray(x)
    if hasattr(x, "__dlpack__"):
        return np.from_dlpack(x)
    if isinstance(x, (bool, int, float, np.generic)):
        return np.asarray(x)
    raise TypeError(f"{name} must be an array, received {type(x).__name__}")


def target_dtype(dtype, wanted=None):
    """The dtype an array of `dtype` is cast to.

    Args:
        dtype: NumPy dtype.
        wanted: dtype name of the model input it goes to, or None.
    """
    if wanted is not None:
        return backend.numpy_dtype(wanted)
    if dtype.kind == "f":
        return backend.numpy_dtype(backend.floatx())
    if dtype.name in _KEPT:
        return dtype
    return np.dtype("int64" if dtype.name in ("uint32", "uint64") else "int32")


def check_targets(array, name):
    """ValueError if a float array of targets or weights holds a NaN: it would ruin every weight in one step."""
    if array.dtype.kind != "f" or array.size == 0:
        return
    # One NaN makes the sum NaN; the sum alone is fast. (inf - inf is NaN too, hence the second look.)
    with np.errstate(invalid="ignore", over="ignore"):
        if not np.isnan(array.sum()):
            return
    where = np.isnan(array)
    if where.any():
        first = tuple(int(i) for i in np.argwhere(where)[0])
        raise ValueError(f"{name} must not hold NaN, received {int(where.sum())} NaN, the first at index {first}")


def check_arrays(name, part):
    """ValueError, with what to do, if a leaf of `part` is a number or anything else that is no array."""
    for leaf in tree.flatten(part):
        scalar = isinstance(leaf, (bool, int, float, np.generic))
        if leaf is None or (is_array_like(leaf) and not scalar):
            continue
        kind = type(leaf).__name__
        if scalar and part is not leaf:
            raise ValueError(
                f"{name} must be an array: make one with np.asarray({name}), received a {type(part).__name__} of {kind}"
            )
        raise ValueError(f"{name} must be an array, or a list or dict of arrays, received {leaf!r} of type {kind}")


def check_lengths(x, y, sample_weight):
    """The common number of samples.

    Raises:
        ValueError: if lengths differ, an array has no axis, or there are no samples.
    """
    sizes = {}
    for name, part in (("x", x), ("y", y), ("sample_weight", sample_weight)):
        for a in tree.flatten(part):
            if a is None:
                continue
            if np.ndim(a) == 0:
                raise ValueError(f"{name} must have a first axis of samples, received a scalar")
            sizes.setdefault(name, []).append(a.shape[0])
    found = {n for lengths in sizes.values() for n in lengths}
    text = ", ".join(f"{name}: {', '.join(map(str, lengths))}" for name, lengths in sizes.items())
    if not found:
        raise ValueError("x must hold at least one array, received none")
    if len(found) > 1:
        raise ValueError(f"all arrays must have the same number of samples, received {text}")
    n = found.pop()
    if n == 0:
        raise ValueError(f"data must hold at least one sample, received {text}")
    return n


def check_class_weight(class_weight):
    """TypeError unless it is a dict from class numbers to numbers."""
    ok = isinstance(class_weight, dict) and all(
        isinstance(v, numbers.Real) and isinstance(k, numbers.Real) for k, v in class_weight.items()
    )
    if not ok:
        raise TypeError(
            "class_weight must be a dict from class number to weight, such as {0: 1.0, 1: 2.5}, "
            f"received {class_weight!r}"
        )


def class_weight_to_sample_weights(y, class_weight):
    """One weight per sample from a dict of class weights; classes it does not name weigh 1."""
    check_class_weight(class_weight)
    y = to_numpy(y, "y")
    if y.ndim > 1:
        y = y[..., 0] if y.shape[-1] == 1 else np.argmax(y, axis=-1)
    classes, inverse = np.unique(np.round(y).astype("int64"), return_inverse=True)
    weights = np.array([class_weight.get(int(c), 1.0) for c in classes], backend.floatx())
    return weights[inverse].reshape(y.shape)


def split_for_validation(x, y, sample_weight, validation_split):
    """((x, y, sample_weight) for training, the same for validation): the last rows validate, unshuffled.

    Raises:
        ValueError: if one of the two would be empty, or for data that is not arrays.
    """
    parts = (x, y, sample_weight)
    leaves = [a for a in tree.flatten(parts) if a is not None]
    if not all(is_array_like(a) for a in leaves):
        raise ValueError(
            "`validation_split` needs arrays (NumPy, pandas or tensors), received "
            f"{sorted({type(a).__name__ for a in leaves})}"
        )
    parts = tree.map_structure(lambda a: None if a is None else to_numpy(a, "data"), parts)
    n = check_lengths(*parts)
    cut = int(np.floor(n * (1.0 - validation_split)))
    if cut == 0 or cut == n:
        raise ValueError(
            f"`validation_split` must leave samples on both sides, received validation_split={validation_split} "
            f"for {n} samples"
        )
    train = tree.map_structure(lambda a: None if a is None else a[:cut], parts)
    validation = tree.map_structure(lambda a: None if a is None else a[cut:], parts)
    return train, validation

"""What images and outputs of ImageNet models mean: `preprocess_input`, `decode_predictions`."""

import json

import numpy as np

_INDEX_ADDRESS = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
_INDEX_MD5 = "c2c37ea517e94d9795004a39431a14cb"
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_TORCH_MEAN, _TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def preprocess_input(x, data_format=None, mode="caffe"):
    """Images with values 0 to 255 as a model wants them.

    Args:
        x: array or Tensor (batch, height, width, 3) or without batch, or channels first. A floating NumPy array is
            changed in place.
        data_format: "channels_last" or "channels_first".
        mode: "caffe" (BGR, minus the mean of ImageNet), "tf" (from -1 to 1) or "torch" (from 0 to 1, minus mean, over
            deviation).

    Returns:
        Array or Tensor of the same shape.

    Raises:
        ValueError: for another mode or format.
    """
    from maas import ops
    from maas.backend.config import floatx
    from maas.layers.options import standardize_data_format

    if mode not in ("caffe", "tf", "torch"):
        raise ValueError(f"preprocess_input: mode must be 'caffe', 'tf' or 'torch', received mode={mode!r}")
    data_format = standardize_data_format(data_format, "preprocess_input")
    is_array = isinstance(x, np.ndarray)
    if is_array and x.dtype.kind != "f":
        x = x.astype(floatx())
    elif not is_array and not hasattr(x, "_keras_history"):
        x = ops.convert_to_tensor(x)
        x = x if "float" in str(x.dtype) else ops.cast(x, floatx())
    if mode == "tf":
        if is_array:
            x /= 127.5
            x -= 1.0
            return x
        return x / 127.5 - 1.0
    axis = -1 if data_format == "channels_last" else -3
    shape = [1] * len(x.shape)
    shape[axis] = 3
    mean, std = (_CAFFE_MEAN, None) if mode == "caffe" else (_TORCH_MEAN, _TORCH_STD)
    mean, std = (None if v is None else np.reshape(np.asarray(v), shape) for v in (mean, std))
    if is_array:
        if mode == "torch":
            x /= 255.0
        else:
            x = np.flip(x, axis)
        x -= mean.astype(x.dtype)
        if std is not None:
            x /= std.astype(x.dtype)
        return x
    x = x / 255.0 if mode == "torch" else ops.flip(x, axis=axis)
    x = x - ops.convert_to_tensor(mean, str(x.dtype))
    return x if std is None else x / ops.convert_to_tensor(std, str(x.dtype))


def decode_predictions(preds, top=5):
    """The classes of ImageNet with the largest outputs.

    Args:
        preds: array or Tensor (batch, 1000).
        top: int, how many.

    Returns:
        list per image of tuples (WordNet id, name, output), the largest first. The names come from a file in the cache,
        which is downloaded if it is not there.

    Raises:
        ValueError: for another shape.
    """
    from maas.utils.file_utils import get_file

    preds = np.asarray(preds)
    if preds.ndim != 2 or preds.shape[1] != 1000:
        raise ValueError(f"decode_predictions: preds must have the shape (batch, 1000), received {preds.shape}")
    path = get_file(
        "imagenet_class_index.json", origin=_INDEX_ADDRESS, cache_subdir="models", file_hash=_INDEX_MD5
    )  # the same file as Keras's
    with open(path, encoding="utf-8") as f:
        index = json.load(f)
    found = []
    for row in preds:
        best = row.argsort()[-top:][::-1]
        found.append(sorted(((*index[str(i)], row[i]) for i in best), key=lambda r: r[2], reverse=True))
    return found

"""Data sets from folders and arrays: images, texts, sounds, time series; and `split_dataset`."""

import os

import numpy as np

from maas import tree
from maas.data.dataset import AUTOTUNE, Dataset
from maas.utils.io_utils import print_msg

IMAGE_FORMATS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


def _known_labels(name, labels):
    """`labels` as they are, an array or tuple as a list.

    Raises:
        ValueError: unless it is "inferred", None or ints.
    """
    if labels is None or (isinstance(labels, str) and labels == "inferred"):
        return labels
    found = labels.tolist() if isinstance(labels, np.ndarray) else labels
    if not isinstance(found, (list, tuple)):
        raise ValueError(f"{name}: labels must be 'inferred', None or a list of ints, received labels={labels!r}")
    wrong = [v for v in found if isinstance(v, bool) or not isinstance(v, (int, np.integer))]
    if wrong:
        raise ValueError(f"{name}: labels must be ints, received {wrong[0]!r}")
    return [int(v) for v in found]


def _check(name, labels, label_mode, class_names, validation_split, subset, shuffle, seed):
    if class_names and labels != "inferred":
        raise ValueError(f"{name}: class_names go with labels='inferred', received labels={labels!r}")
    if label_mode not in ("int", "categorical", "binary", None):
        raise ValueError(f"{name}: label_mode must be 'int', 'categorical', 'binary' or None, received {label_mode!r}")
    if validation_split and not 0 < validation_split < 1:
        raise ValueError(f"{name}: validation_split must be in (0, 1), received {validation_split}")
    if bool(validation_split) != bool(subset):
        raise ValueError(
            f"{name}: validation_split and subset go together, received validation_split={validation_split}, "
            f"subset={subset!r}"
        )
    if subset not in ("training", "validation", "both", None):
        raise ValueError(f"{name}: subset must be 'training', 'validation' or 'both', received {subset!r}")
    if validation_split and shuffle and seed is None:
        raise ValueError(
            f"{name}: validation_split with shuffle=True needs a seed to keep both parts apart, received seed=None"
        )


def _files(folder, formats, follow_links):
    for root, _, names in sorted(os.walk(folder, followlinks=follow_links), key=lambda found: found[0]):
        for file in sorted(names):
            if file.lower().endswith(formats):
                yield os.path.join(root, file)


def index_directory(name, directory, labels, formats, class_names, shuffle, seed, follow_links, verbose):
    """(paths, labels as an int32 array or None, class names or None) of the files of a folder.

    The order, and with a seed the shuffled order, is that of Keras.
    """
    directory = os.fspath(directory)
    if not os.path.isdir(directory):
        raise FileNotFoundError(f"{name}: the folder does not exist, received {directory!r}")
    folders = [""]
    if labels == "inferred":
        folders = [
            d for d in sorted(os.listdir(directory)) if os.path.isdir(os.path.join(directory, d)) and d[0] != "."
        ]
        if class_names is not None and not set(class_names) <= set(folders):
            raise ValueError(f"{name}: class_names must be among the sub-folders {folders}, received {class_names}")
        folders = list(class_names) if class_names is not None else folders
    paths, found = [], []
    for number, folder in enumerate(folders):
        own = list(_files(os.path.join(directory, folder), formats, follow_links))
        paths += own
        found += [number] * len(own)
    if labels == "inferred":
        labels, names = np.asarray(found, "int32"), folders
    elif labels is None:
        names = None
    else:
        if len(labels) != len(paths):
            raise ValueError(f"{name}: labels must be as many as the {len(paths)} files, received {len(labels)}")
        names = [str(v) for v in sorted(set(labels))]
        labels = np.asarray(labels, "int32")
    if verbose:
        classes = "" if names is None else f" belonging to {len(names)} classes"
        print_msg(f"Found {len(paths)} files{classes}.")
    if shuffle:
        np.random.RandomState(seed).shuffle(paths)
        if labels is not None:
            np.random.RandomState(seed).shuffle(labels)
    return paths, labels, names


def _encoded_labels(name, labels, label_mode, classes):
    if label_mode != "int" and len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"{name}: with label_mode={label_mode!r} labels must count from 0 to {classes - 1}, received labels from "
            f"{labels.min()} to {labels.max()}"
        )
    if label_mode == "binary":
        return labels.astype("float32")[:, None]
    return np.eye(classes, dtype="float32")[labels] if label_mode == "categorical" else labels


def _from_directory(
    name, directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset,
    follow_links, verbose, formats, load, stack=None,
):  # fmt: skip
    labels = _known_labels(name, labels)
    _check(name, labels, label_mode, class_names, validation_split, subset, shuffle, seed)
    if labels is None or label_mode is None:
        labels = label_mode = None
    seed = int(np.random.randint(1e6)) if seed is None else seed
    paths, labels, names = index_directory(
        name, directory, labels, formats, class_names, shuffle, seed, follow_links, verbose
    )
    if label_mode == "binary" and len(names) != 2:
        raise ValueError(f"{name}: label_mode='binary' needs 2 classes, received {names}")
    if labels is not None:
        labels = _encoded_labels(name, labels, label_mode, len(names))
    held_out = int((validation_split or 0) * len(paths))
    cuts = {
        None: slice(None), "training": slice(len(paths) - held_out), "validation": slice(len(paths) - held_out, None),
    }  # fmt: skip

    def make(part):
        own, own_labels = paths[cuts[part]], None if labels is None else labels[cuts[part]]
        if not own:
            raise ValueError(f"{name}: no {part + ' ' if part else ''}files with {formats}, received {directory!r}")
        if verbose and part:
            print_msg(f"Using {len(own)} files for {part}.")
        source = np.arange(len(own))
        data = Dataset.from_tensor_slices(source)
        if shuffle and not (subset == "both" and part == "validation"):
            data = data.shuffle(len(own), seed)
        if own_labels is None:
            data = data.map(lambda i: load(own[i]), AUTOTUNE)
        else:
            data = data.map(lambda i: (load(own[i]), own_labels[i]), AUTOTUNE)
        if batch_size is not None:
            data = stack(data, batch_size) if stack else data.batch(batch_size)
        data = data.prefetch(AUTOTUNE)
        data.class_names, data.file_paths = names, own
        return data

    return [make("training"), make("validation")] if subset == "both" else make(subset)


def image_dataset_from_directory(
    directory, labels="inferred", label_mode="int", class_names=None, color_mode="rgb", batch_size=32,
    image_size=(256, 256), shuffle=True, seed=None, validation_split=None, subset=None, interpolation="bilinear",
    follow_links=False, crop_to_aspect_ratio=False, pad_to_aspect_ratio=False, data_format=None, format=None,
    verbose=True,
):  # fmt: skip
    """A data set of the images in a folder, one sub-folder per class; images are decoded by threads ahead of the model.

    Args:
        directory: str or path.
        labels: "inferred" (from the sub-folders), None, or a list of ints in the order of the sorted paths.
        label_mode: "int", "categorical" (one-hot), "binary" (float32, two classes) or None.
        class_names: list of sub-folders, to choose and order them.
        color_mode: "rgb", "rgba" or "grayscale".
        batch_size: int, or None for single images.
        image_size: (height, width).
        shuffle: bool; False is the order of the sorted paths.
        seed: int or None.
        validation_split, subset: number in (0, 1), and "training", "validation" or "both".
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        follow_links: bool, whether links to folders are followed.
        crop_to_aspect_ratio, pad_to_aspect_ratio: see `ops.image.resize`.
        data_format: "channels_last" or "channels_first".
        format: None; there is one kind of data set.
        verbose: bool, whether the numbers of files are printed.

    Returns:
        `Dataset` of float32 images, or (images, labels), with `class_names` and `file_paths`; two with subset="both".

    Raises:
        ValueError: for arguments that do not fit or a folder without images.
        FileNotFoundError: if the folder does not exist.
    """
    from maas.layers.options import standardize_data_format
    from maas.utils.image_utils import pillow

    name = "image_dataset_from_directory"
    modes = ("grayscale", "rgb", "rgba")
    if color_mode not in modes:
        raise ValueError(f"{name}: color_mode must be one of {modes}, received {color_mode!r}")
    if isinstance(image_size, int):
        image_size = (image_size, image_size)
    if not isinstance(image_size, (list, tuple)) or len(image_size) != 2:
        raise ValueError(f"{name}: image_size must be (height, width), received {image_size!r}")
    known = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")
    if interpolation.lower() not in known:
        raise ValueError(f"{name}: interpolation must be one of {known}, received {interpolation!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(f"{name}: only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True, received both")
    pillow(name)
    data_format = standardize_data_format(data_format, name)
    options = (color_mode, tuple(image_size), interpolation.lower(), crop_to_aspect_ratio, pad_to_aspect_ratio)
    return _from_directory(
        name, directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset,
        follow_links, verbose, IMAGE_FORMATS, lambda path: _load_image(path, *options, data_format),
    )  # fmt: skip


def _load_image(path, color_mode, image_size, interpolation, crop, pad, data_format):
    from maas import ops
    from maas.utils.image_utils import img_to_array, load_img

    image = img_to_array(load_img(path, color_mode), "channels_last", "float32")
    if image.shape[:2] != image_size:
        image = ops.image.resize(
            image, image_size, interpolation, crop_to_aspect_ratio=crop, pad_to_aspect_ratio=pad,
            data_format="channels_last",
        ).numpy()  # fmt: skip
    return image.transpose(2, 0, 1) if data_format == "channels_first" else image


def text_dataset_from_directory(
    directory, labels="inferred", label_mode="int", class_names=None, batch_size=32, max_length=None, shuffle=True,
    seed=None, validation_split=None, subset=None, follow_links=False, format=None, verbose=True,
):  # fmt: skip
    """A data set of the `.txt` files in a folder, one sub-folder per class.

    Args:
        directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset, follow_links,
            format, verbose: see `image_dataset_from_directory`.
        max_length: int or None, bytes that are read of each text.

    Returns:
        `Dataset` of arrays of str, or (texts, labels).

    Raises:
        ValueError, FileNotFoundError: see `image_dataset_from_directory`.
    """

    def load(path):
        with open(path, "rb") as f:
            return np.asarray(f.read(max_length).decode("utf-8", "replace"), dtype=object)

    return _from_directory(
        "text_dataset_from_directory", directory, labels, label_mode, class_names, batch_size, shuffle, seed,
        validation_split, subset, follow_links, verbose, (".txt",), load,
    )  # fmt: skip


def audio_dataset_from_directory(
    directory, labels="inferred", label_mode="int", class_names=None, batch_size=32, sampling_rate=None,
    output_sequence_length=None, ragged=False, shuffle=True, seed=None, validation_split=None, subset=None,
    follow_links=False, verbose=True,
):  # fmt: skip
    """A data set of the 16-bit PCM `.wav` files in a folder, one sub-folder per class; samples lie in [-1, 1).

    Args:
        directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset, follow_links,
            verbose: see `image_dataset_from_directory`.
        sampling_rate: only None: there is no resampling.
        output_sequence_length: int or None: samples per sound, cut or filled with 0; None fills up to the longest of
            the batch.
        ragged: bool; only False.

    Returns:
        `Dataset` of float32 arrays (batch, samples, channels), or (sounds, labels).

    Raises:
        ValueError: for arguments that do not fit or another kind of file.
    """
    name = "audio_dataset_from_directory"
    if sampling_rate is not None or ragged:
        raise ValueError(
            f"{name}: there is no resampling and no ragged tensor, received sampling_rate={sampling_rate}, "
            f"ragged={ragged}"
        )

    def load(path):
        sound = _read_wav(name, path)
        n = output_sequence_length
        return sound if n is None else np.pad(sound[:n], ((0, max(n - len(sound), 0)), (0, 0)))

    return _from_directory(
        name, directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset,
        follow_links, verbose, (".wav",), load, None if output_sequence_length else _padded_batches,
    )  # fmt: skip


def _read_wav(name, path):
    import wave

    try:
        with wave.open(path, "rb") as f:
            if f.getsampwidth() != 2:
                raise ValueError(f"{name}: sounds must be 16-bit PCM, received {8 * f.getsampwidth()} bits in {path!r}")
            return np.frombuffer(f.readframes(f.getnframes()), "<i2").reshape(-1, f.getnchannels()) / np.float32(32768)
    except (wave.Error, EOFError) as e:
        raise ValueError(f"{name}: sounds must be 16-bit PCM .wav files, received {path!r} ({e})") from None


def _padded_batches(data, batch_size):
    def pad(elements):
        sounds = [e[0] if isinstance(e, tuple) else e for e in elements]
        n = max(map(len, sounds))
        sounds = np.stack([np.pad(s, ((0, n - len(s)), (0, 0))) for s in sounds])
        return (sounds, np.stack([e[1] for e in elements])) if isinstance(elements[0], tuple) else sounds

    def make():
        chunk = []
        for element in data:
            chunk.append(element)
            if len(chunk) == batch_size:
                yield pad(chunk)
                chunk = []
        if chunk:
            yield pad(chunk)

    return Dataset(make, -(-len(data) // batch_size))


def timeseries_dataset_from_array(
    data, targets, sequence_length, sequence_stride=1, sampling_rate=1, batch_size=128, shuffle=False, seed=None,
    start_index=None, end_index=None, format=None,
):  # fmt: skip
    """Windows over a time series, with the target of each: window i begins at `i * sequence_stride`.

    Args:
        data: array (time, ...).
        targets: array (time, ...) or None; row i belongs to the window that begins at i.
        sequence_length: int, steps of a window.
        sequence_stride: int, steps between the beginnings of windows.
        sampling_rate: int, steps between the entries of a window.
        batch_size: int, or None for single windows.
        shuffle: bool.
        seed: int or None.
        start_index, end_index: int or None, the part of the data that is used.
        format: None; there is one kind of data set.

    Returns:
        `Dataset` of windows (batch, sequence_length, ...), or (windows, targets).

    Raises:
        ValueError: for indices or steps that do not fit the data.
    """
    name, n = "timeseries_dataset_from_array", len(data)
    start, end = start_index or 0, end_index or n
    if not 0 <= start < n:
        raise ValueError(f"{name}: start_index must be in [0, {n}), received start_index={start_index}")
    if not start < end <= n or (end_index is not None and end_index in (0, n)):
        raise ValueError(f"{name}: end_index must be in ({start}, {n}), received end_index={end_index}")
    for word, value in (("sampling_rate", sampling_rate), ("sequence_stride", sequence_stride)):
        if not 0 < value < n:
            raise ValueError(f"{name}: {word} must be in [1, {n}), received {word}={value}")
    data = np.asarray(data)[start:end]
    count = end - start - (sequence_length - 1) * sampling_rate
    if targets is not None:
        targets = np.asarray(targets)
        count = min(count, len(targets))
        targets = targets[start:end]
    begins = np.arange(0, count, sequence_stride)
    if len(begins) == 0 or sequence_length < 1:
        raise ValueError(
            f"{name}: no window of sequence_length={sequence_length} fits, received data of length {end - start}"
        )
    if targets is not None and begins[-1] >= len(targets):
        begins = begins[begins < len(targets)]
    seed = int(np.random.randint(1e6)) if seed is None else seed
    if shuffle:
        np.random.RandomState(seed).shuffle(begins)
    offsets = np.arange(sequence_length) * sampling_rate
    passes = [0]

    def make():
        order = begins
        if shuffle:
            order = np.random.default_rng([seed, passes[0]]).permutation(begins)
            passes[0] += 1
        size = batch_size or 1
        for i in range(0, len(order), size):
            rows = order[i : i + size]
            window = data[rows[:, None] + offsets]
            out = window if targets is None else (window, targets[rows])
            yield out if batch_size is not None else tree.map_structure(lambda a: a[0], out)

    return Dataset(make, -(-len(begins) // (batch_size or 1)))


def split_dataset(dataset, left_size=None, right_size=None, shuffle=False, seed=None, preferred_backend=None):
    """A data set in two parts, both in memory.

    Args:
        dataset: array, list or tuple of arrays, `Dataset`, or any iterable of samples.
        left_size, right_size: int (samples) or float (share in (0, 1)); one of them may be None.
        shuffle: bool.
        seed: int or None.
        preferred_backend: None; there is one kind of data set.

    Returns:
        (left, right), `Dataset`s of samples.

    Raises:
        ValueError: for sizes that do not fit.
        TypeError: if it is no data, or a size is no number.
    """
    import random

    name = "split_dataset"
    if isinstance(dataset, (list, tuple)):
        if not dataset or any(not isinstance(a, np.ndarray) for a in dataset):
            raise ValueError(f"{name}: a list must hold NumPy arrays, received {[type(a).__name__ for a in dataset]}")
        if len({len(a) for a in dataset}) > 1:
            raise ValueError(f"{name}: arrays must be equally long, received lengths {[len(a) for a in dataset]}")
        samples = list(zip(*dataset))
    elif hasattr(dataset, "__iter__") and not isinstance(dataset, (str, bytes, dict)):
        samples = list(dataset)
    else:
        raise TypeError(f"{name}: dataset must be arrays or an iterable of samples, received {type(dataset).__name__}")
    if not samples:
        raise ValueError(f"{name}: dataset must hold samples, received none")
    left, right = _sizes(name, left_size, right_size, len(samples))
    if shuffle:
        random.Random(seed).shuffle(samples)
    parts = samples[:left], samples[len(samples) - right :]
    return tuple(Dataset(lambda part=part: iter(part), len(part)) for part in parts)


def _sizes(name, left, right, n):
    if left is None and right is None:
        raise ValueError(f"{name}: give left_size or right_size, received neither")
    found = []
    for word, size in (("left_size", left), ("right_size", right)):
        if size is not None and (isinstance(size, bool) or not isinstance(size, (int, float))):
            raise TypeError(f"{name}: {word} must be an int or a float, received {type(size).__name__}")
        if size is not None and not 0 < size < (1 if isinstance(size, float) else n):
            raise ValueError(f"{name}: {word} must be an int in (0, {n}) or a float in (0, 1), received {size}")
        found.append(round(size * n) if isinstance(size, float) else size)
    left = n - found[1] if found[0] is None else found[0]
    right = n - left if found[1] is None else found[1]
    if left + right > n or min(left, right) < 1:
        raise ValueError(f"{name}: both parts must be non-empty and fit {n} samples, received {left} and {right}")
    return left, right

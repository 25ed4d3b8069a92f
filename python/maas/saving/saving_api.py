"""`save_model`, `load_model`, `save_weights`, `load_weights`: the suffix of the path says the format."""

import os

from maas.saving import h5_file, keras_file, maas_file, weights_file
from maas.saving.atomic import atomic_write
from maas.saving.files import HDF5_MAGIC, ZIP_MAGIC, describe, read_file
from maas.saving.serialization import refuse_unsafe_mode

_H5 = (".h5", ".hdf5")


def _path(filepath):
    path = os.fspath(filepath)
    if not isinstance(path, str) or "://" in path:
        raise ValueError(f"a model file is a local path; maas fetches nothing over the network, received {filepath!r}")
    return path


def _expect(data, magic, path, kind):
    if data[: len(magic)] != magic:
        raise ValueError(f"expected {kind} by its suffix, received {describe(data)}: {path!r}")


def save_model(model, filepath, overwrite=True, include_optimizer=True):
    """Save a model: config, weights, compile settings and optimizer state.

    The file appears whole or not at all; an older one stays until the new one is complete.

    Args:
        model: a built `Model`.
        filepath: str or path-like that ends in `.keras`, in `.maas` (layers and the Graph that runs without them), or
            in `.h5`/`.hdf5` for the legacy format.
        overwrite: bool, whether an existing file may be replaced.
        include_optimizer: bool, for `.h5` only.

    Raises:
        ValueError: for another suffix, or a model that is not built.
        FileExistsError: if the file exists and `overwrite` is False.
    """
    path = _path(filepath)
    if path.endswith(".weights.h5"):
        raise ValueError(
            f"a path that ends in .weights.h5 is for weights only; use model.save_weights(), received {path!r}"
        )
    if path.endswith(".keras"):
        with atomic_write(path, overwrite) as file:
            keras_file.write_keras_file(model, file)
    elif path.endswith(".maas"):
        write_maas(model, path, overwrite)
    elif path.endswith(_H5):
        content = h5_file.h5_bytes(model, include_optimizer)
        with atomic_write(path, overwrite) as file:
            file.write(content)
    else:
        raise ValueError(
            f"a model is saved as .keras, .maas or legacy .h5, its weights alone as .weights.h5, received {path!r}"
        )


def write_maas(model, path, overwrite=True, **options):
    """Write a `.maas` file; `options` are those of `maas_file.encode_maas`."""
    pieces = maas_file.encode_maas(model, **options)
    with atomic_write(path, overwrite) as file:
        for piece in pieces:
            file.write(piece)


def write_onnx(model, path, overwrite=True, **options):
    """Write an ONNX file; `options` are those of `maas.onnx.export.write_onnx_file`."""
    from maas.onnx.export import write_onnx_file

    write_onnx_file(model, path, overwrite, **options)


def load_model(filepath, custom_objects=None, compile=True, safe_mode=True):
    """The model saved in a file by maas or by Keras.

    Args:
        filepath: str or path-like that ends in `.keras`, `.maas`, `.h5` or `.hdf5`.
        custom_objects: dict of name to class or function for what the file names and maas does not have.
        compile: bool, whether to restore losses, metrics and the optimizer with its state.
        safe_mode: only True is possible: maas never runs code from a file.

    Returns:
        A `Model`, compiled if the saved one was; a `GraphModel` for a `.maas` file without layers.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for another suffix, a damaged or hostile file, or a class that is neither ours nor given.
    """
    refuse_unsafe_mode(safe_mode)
    path = _path(filepath)
    if path.endswith(".weights.h5"):
        raise ValueError(
            f"the file holds weights only; build the model and call model.load_weights(), received {path!r}"
        )
    if path.endswith(".keras"):
        data = read_file(path)
        _expect(data, ZIP_MAGIC, path, "a zip archive (.keras)")
        return keras_file.load_keras_bytes(data, custom_objects, compile)
    if path.endswith(_H5):
        data = read_file(path)
        _expect(data, HDF5_MAGIC, path, "an HDF5 file (.h5)")
        return h5_file.load_h5_bytes(data, custom_objects, compile)
    if path.endswith(".maas"):
        return maas_file.load_maas(path, custom_objects, compile)
    raise ValueError(f"a model is loaded from .keras, .maas, .h5 or .hdf5, received {path!r}")


def save_weights(model, filepath, overwrite=True):
    """Save the weights and the optimizer state of a built model as `.weights.h5`.

    Raises:
        ValueError: for another suffix, or a model that is not built.
        FileExistsError: if the file exists and `overwrite` is False.
    """
    path = _path(filepath)
    if not path.endswith(".weights.h5"):
        raise ValueError(f"weights are saved to a path that ends in .weights.h5, received {path!r}")
    content = weights_file.weights_bytes(model)
    with atomic_write(path, overwrite) as file:
        file.write(content)


def load_weights(model, filepath, skip_mismatch=False, **kwargs):
    """Read weights into a built model; if anything does not fit, nothing changes.

    Args:
        model: a built `Model`.
        filepath: `.weights.h5`, `.keras`, `.maas`, or a legacy `.h5` of weights or of a whole model.
        skip_mismatch: bool, warn about layers that do not fit and leave them alone.
        by_name: bool, for legacy `.h5` only: match layers by name, not by order.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the layer with the expected and the found shapes; also for a damaged file.
    """
    by_name = kwargs.pop("by_name", False)
    if kwargs:
        raise ValueError(f"load_weights: unknown arguments, received {sorted(kwargs)}")
    path = _path(filepath)
    legacy = path.endswith(_H5) and not path.endswith(".weights.h5")
    if by_name and not legacy:
        raise ValueError(f"by_name is for legacy .h5 files only, received {path!r}")
    if not (legacy or path.endswith((".weights.h5", ".keras", ".maas"))):
        raise ValueError(f"weights are loaded from .weights.h5, .keras, .maas or legacy .h5, received {path!r}")
    if path.endswith(".maas"):
        return maas_file.load_maas_weights(model, path, skip_mismatch)
    data = read_file(path)
    if path.endswith(".keras"):
        _expect(data, ZIP_MAGIC, path, "a zip archive (.keras)")
        weights_file.load_weights_bytes(model, keras_file.read_members(data)[keras_file.WEIGHTS], skip_mismatch)
        return
    _expect(data, HDF5_MAGIC, path, "an HDF5 file")
    if legacy:
        h5_file.load_h5_weights_bytes(model, data, skip_mismatch, by_name)
    else:
        weights_file.load_weights_bytes(model, data, skip_mismatch)

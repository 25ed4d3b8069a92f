"""Writing HDF5 trees into memory, with a checksum over everything that they hold."""

import hashlib
import io
import json

import numpy as np

from maas import _core
from maas.saving.hdf5 import OPAQUE, import_h5py

# Root attribute: sha256 over names, attributes, shapes, dtypes and values. Files without it (from Keras) load too.
CHECKSUM = "maas_sha256"


def to_numpy(value):
    """`(array, mark)` of a Variable, tensor or array. What HDF5 and NumPy lack goes as opaque values of its bytes, the
    way h5py stores such arrays of the package ml_dtypes, int4 as one byte each; `mark` is the dtype then, else None.
    """
    dtype = str(getattr(value, "dtype", ""))
    if dtype not in OPAQUE:
        return value.numpy() if hasattr(value, "numpy") else np.asarray(value), None
    if isinstance(value, np.ndarray):  # of ml_dtypes
        return np.ascontiguousarray(value).view(f"V{value.dtype.itemsize}"), dtype
    tensor = value.value if isinstance(value, _core.Variable) else value
    if dtype == "int4":
        return _core.cast(tensor, dtype="int8").numpy().view("V1"), dtype
    return tensor.stored_bytes().view(OPAQUE[dtype]).reshape(tensor.shape), dtype


def write_dataset(group, name, value):
    """One dataset; opaque ones are marked by the attribute that Keras uses for bfloat16."""
    array, mark = to_numpy(value)
    dataset = group.create_dataset(name, data=array)
    if mark:
        dataset.attrs["dtype"] = mark


def tree_digest(tree):
    """Hex sha256 over a `Tree`; the checksum attribute itself is left out."""
    digest = hashlib.sha256()

    def text(value):
        encoded = json.dumps(value, sort_keys=True, default=str).encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)

    for path in sorted(tree.groups):
        text([path, {k: v for k, v in tree.groups[path].items() if not (path == "" and k == CHECKSUM)}])
    for path in sorted(tree.datasets):
        dataset = tree.datasets[path]
        text([path, list(dataset.shape), dataset.dtype, dataset.attributes])
        digest.update(
            np.ascontiguousarray(dataset.read_raw()).reshape(-1).view(np.uint8)
            if dataset.shape
            else dataset.read_raw().tobytes()
        )
    return digest.hexdigest()


def check_digest(tree):
    """Compare with the stored checksum, if there is one.

    Raises:
        ValueError: if they differ.
    """
    stored = tree.groups[""].get(CHECKSUM)
    if stored is not None and stored != tree_digest(tree):
        raise ValueError("damaged HDF5 file: its content does not match its checksum")


def hdf5_bytes(fill, checksum=True):
    """The bytes of an HDF5 file.

    Args:
        fill: function that gets the open `h5py.File` and writes into it.
        checksum: bool, whether to add the checksum attribute.
    """
    from maas.saving.hdf5 import open_hdf5

    h5py = import_h5py()
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    if checksum:
        # Read back by the reader that will read it later, so that nothing is saved that cannot be loaded.
        with open_hdf5(buffer.getvalue()) as tree:
            digest = tree_digest(tree)
        with h5py.File(buffer, "r+") as file:
            file.attrs[CHECKSUM] = digest
    return buffer.getvalue()

"""Small files for the tests, made with plain h5py and zipfile: what Keras writes, and what it never would."""

import io
import json
import zipfile

import h5py
import numpy as np


def hdf5(fill):
    """Bytes of an HDF5 file that `fill(file)` wrote."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def weights(file):
    """Two layers the way Keras lays them out."""
    for name, shape in (("dense", (3, 4)), ("dense_1", (4, 2))):
        group = file.create_group(f"layers/{name}/vars")
        group.attrs["name"] = name
        group["0"] = np.arange(np.prod(shape), dtype="float32").reshape(shape)
        group["1"] = np.zeros(shape[1], "float32")


def archive(members, compression=zipfile.ZIP_STORED):
    """Bytes of a zip; `members` is a list of (name or ZipInfo, content)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def keras_members(config=None):
    """The three members of a `.keras` file."""
    return [
        ("metadata.json", json.dumps({"keras_version": "3.15.1"})),
        ("config.json", json.dumps(config or {"class_name": "Sequential", "config": {}})),
        ("model.weights.h5", hdf5(weights)),
    ]

"""`.keras`: a zip of metadata.json, config.json, model.weights.h5 and assets, as Keras 3 writes and reads it.

metadata.json also holds the sha256 of the other members, which loading verifies; files of Keras have none and load too.
"""

import datetime
import hashlib
import json
import warnings

from maas.saving import assets, hdf5_write, weights_file
from maas.saving.archive import read_archive, write_archive
from maas.saving.config_json import parse_json
from maas.saving.hdf5 import open_hdf5
from maas.saving.limits import MAX_JSON_BYTES
from maas.saving.load_budget import load_budget
from maas.saving.serialization import deserialize_keras_object, object_sharing_scope, serialize_keras_object

# The release of Keras whose format this is.
KERAS_FORMAT = "3.15.1"
METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"


def model_config_json(model):
    """The text of config.json."""
    with object_sharing_scope():
        text = json.dumps(serialize_keras_object(model))
    if len(text) > MAX_JSON_BYTES:
        raise ValueError(f"{model.name}: the config is larger than {MAX_JSON_BYTES} bytes, received {len(text)}")
    return text


def write_keras_file(model, file):
    """Write a model into a binary file object."""
    from maas import __version__

    config = model_config_json(model).encode()
    if not model.built:
        warnings.warn(
            f"{model.name}: the model is saved before it is built, so the file holds its architecture and no weights",
            stacklevel=6,
        )
    weights = weights_file.weights_bytes(model, may_be_unbuilt=True)
    members = {CONFIG: config, WEIGHTS: weights, **assets.collect(model)}
    metadata = {
        "keras_version": KERAS_FORMAT,
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
        "maas_version": __version__,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in members.items()},
    }
    write_archive(file, {METADATA: json.dumps(metadata).encode(), **members})


def read_members(data):
    """The three members of a `.keras` file, and its assets, as memoryviews, checksums verified.

    Raises:
        ValueError: if one is missing, one is unknown, or a checksum does not match.
    """
    members = read_archive(data)
    unknown = [n for n in members if n not in (METADATA, CONFIG, WEIGHTS) and not n.startswith(assets.PREFIX)]
    if unknown:
        raise ValueError(f".keras file: unknown members, received {unknown[:5]}")
    missing = [n for n in (METADATA, CONFIG, WEIGHTS) if n not in members]
    if missing:
        raise ValueError(f".keras file: members {missing} are missing, received {sorted(members)}")
    _check_sums(members)
    return members


def _check_sums(members):
    metadata = parse_json(members[METADATA], METADATA)
    if "sha256" not in metadata:
        return
    sums = metadata["sha256"]
    if not isinstance(sums, dict) or set(sums) != set(members) - {METADATA}:
        raise ValueError(f".keras file: the list of checksums is damaged, received {str(sums)[:200]}")
    for name, expected in sums.items():
        if hashlib.sha256(members[name]).hexdigest() != expected:
            raise ValueError(f".keras file: {name} does not match its sha256; the file was damaged or changed")


def load_keras_bytes(data, custom_objects=None, compile=True):
    """The model of a `.keras` file given as bytes."""
    members = read_members(data)
    config = parse_json(members[CONFIG], CONFIG)
    if not isinstance(config.get("class_name"), str) or not isinstance(config.get("config"), dict):
        raise ValueError(f"{CONFIG}: expected the config of a model, received keys {sorted(config)[:10]}")
    if not compile:
        config["compile_config"] = None
    with open_hdf5(members[WEIGHTS]) as tree:
        hdf5_write.check_digest(tree)
        with object_sharing_scope(), load_budget(tree.nbytes):
            model = deserialize_keras_object(config, custom_objects)
        if not hasattr(model, "load_weights") or not hasattr(model, "layers"):
            raise ValueError(f"{CONFIG}: expected the config of a model, received {type(model).__name__}")
        assets.restore(model, members)
        if model.built or tree.datasets:
            weights_file.load_tree(model, tree, with_training_state=compile, fresh=True)
    return model

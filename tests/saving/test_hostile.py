"""Hostile model files: S-28 (names that lead to code), S-31 (sizes), S-34 (pickles), truncation, flipped bytes.

Every load ends in one ValueError; it imports nothing, opens nothing but the model file, starts nothing, connects to
nothing, and leaves models and folders as they were.
"""

import copy
import io
import json
import os
import pickle
import sys
import time

import h5py
import numpy as np
import pytest

import maas
from maas.saving import deserialize_keras_object, load_model, register_keras_serializable
from maas.saving.archive import archive_bytes, read_archive
from maas.saving.hdf5_write import CHECKSUM
from tests.saving import files, models

_WATCHED = (
    "import",
    "exec",
    "compile",
    "open",
    "os.",
    "subprocess.",
    "socket.",
    "ctypes.",
    "pickle.",
    "marshal.",
    "shutil.",
    "tempfile.",
)
_events = None


def _hook(event, args):
    if _events is not None and event.startswith(_WATCHED):
        _events.append((event, args[:2]))


sys.addaudithook(_hook)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A model, and its files as bytes."""
    folder = tmp_path_factory.mktemp("good")
    model = maas.Sequential([maas.Input((3,)), maas.layers.Dense(4, activation="relu"), maas.layers.Dense(2)])
    model.compile(maas.optimizers.Adam(), loss="mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    model.save_weights(folder / "m.weights.h5")
    load_model(folder / "m.keras")  # imports what loading needs, so that the hook sees only what a file causes
    load_model(folder / "m.h5")
    return model, {name: (folder / name).read_bytes() for name in ("m.keras", "m.h5", "m.weights.h5")}


def watch(path, action):
    """Run `action`, which must end in a ValueError, and check that nothing else happened."""
    global _events
    before = sorted(os.listdir(path.parent)), set(sys.modules)
    _events = []
    try:
        with pytest.raises((ValueError, NotImplementedError)) as info:
            action()
    finally:
        seen, _events = _events, None
    # The one file, by its path and then by its descriptor.
    assert [e for e in seen if not (e[0] == "open" and (e[1][0] == os.fspath(path) or isinstance(e[1][0], int)))] == []
    assert (sorted(os.listdir(path.parent)), set(sys.modules)) == before
    return str(info.value)


def refuse(tmp_path, data, name="m.keras", **kwargs):
    path = tmp_path / name
    path.write_bytes(data)
    return watch(path, lambda: load_model(path, **kwargs))


def with_config(good, change):
    """The good file with its config changed, and without checksums, as an attacker would write it."""
    members = {k: bytes(v) for k, v in read_archive(good[1]["m.keras"]).items()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    members["metadata.json"] = b'{"keras_version": "3.15.1"}'
    return archive_bytes(members)


def test_the_changed_file_would_load(good, tmp_path):
    (tmp_path / "m.keras").write_bytes(with_config(good, lambda c: None))
    assert len(load_model(tmp_path / "m.keras").layers) == 2


EVIL = [
    {"module": "os", "class_name": "system", "config": {"command": "touch canary"}},
    {"module": "builtins", "class_name": "eval", "config": {"source": "1"}},
    {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "eval"},
    {"module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", "canary"]}},
    {"module": "subprocess", "class_name": "function", "config": "run", "registered_name": "run"},
    {
        "module": "keras.src.utils.file_utils",
        "class_name": "function",
        "config": "get_file",
        "registered_name": "get_file",
    },
    {"module": "keras.utils", "class_name": "get_file", "config": {"origin": "http://127.0.0.1:9/x"}},
    {"module": "keras.config", "class_name": "function", "config": "enable_unsafe_deserialization"},
    {"module": "keras.config", "class_name": "enable_unsafe_deserialization", "config": {}},
    {"module": "keras.saving", "class_name": "load_model", "config": {"filepath": "/etc/passwd"}},
    {"module": "keras.models", "class_name": "load_model", "config": {"filepath": "/etc/passwd"}},
    {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"module": "x"}},
    {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp"}},
    {"module": "keras.layers", "class_name": "Layer.__init__", "config": {}},
    {"module": "keras.layers", "class_name": "__class__", "config": {}},
    {"module": "keras.layers", "class_name": "__builtins__", "config": {}},
    {"module": "keras.layers", "class_name": "deserialize", "config": {}},
    {"module": "keras.layers", "class_name": "os", "config": {}},
    {"module": "keras.layers..os", "class_name": "Dense", "config": {}},
    {"module": "keras.layers/../os", "class_name": "Dense", "config": {}},
    {"module": "maas.saving.atomic", "class_name": "atomic_write", "config": {"path": "canary"}},
    {"module": "maas.layers", "class_name": "sys", "config": {}},
    {"module": "keras.src.ops.numpy", "class_name": "__Import__", "config": {}},
    {"module": "keras.src.ops.numpy", "class_name": "System", "config": {}},
    {"module": "keras.layers", "class_name": "Dense", "config": {"units": 4}, "registered_name": "os>system"},
    {"module": None, "class_name": "Popen", "config": {}, "registered_name": "Popen"},
    {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}},
    {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}},
    {"class_name": "__typespec__", "spec_name": "x", "module": "os", "config": [], "registered_name": None},
    {"class_name": "__pickle__", "config": {"value": "gASVAAAAAA=="}},
    {"class_name": "__numpy__", "config": {"value": [1], "dtype": "O"}},
    {"class_name": 7, "config": {}},
    {"class_name": "Dense", "config": [1, 2]},
    {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "x", "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}},
    },
    {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "x", "function": ["4wEAAAA=", None, None]}},
    {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "x", "function": {"module": "os", "class_name": "function", "config": "system"}},
    },
]


def _as_model(config, evil):
    config.clear()
    config.update(copy.deepcopy(evil))


PLACES = {
    "layer": lambda c, e: c["config"]["layers"].__setitem__(1, e),
    "model": _as_model,
    "initializer": lambda c, e: c["config"]["layers"][1]["config"].__setitem__("kernel_initializer", e),
    "regularizer": lambda c, e: c["config"]["layers"][1]["config"].__setitem__("kernel_regularizer", e),
    "constraint": lambda c, e: c["config"]["layers"][1]["config"].__setitem__("bias_constraint", e),
    "activation": lambda c, e: c["config"]["layers"][1]["config"].__setitem__("activation", e),
    "dtype": lambda c, e: c["config"]["layers"][1]["config"].__setitem__("dtype", e),
    "loss": lambda c, e: c["compile_config"].__setitem__("loss", e),
    "metric": lambda c, e: c["compile_config"].__setitem__("metrics", [e]),
    "optimizer": lambda c, e: c["compile_config"].__setitem__("optimizer", e),
    "learning_rate": lambda c, e: c["compile_config"]["optimizer"]["config"].__setitem__("learning_rate", e),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("evil", EVIL, ids=lambda e: f"{e.get('module')}:{e['class_name']}"[:60])
def test_s28_names_that_lead_to_code(good, tmp_path, place, evil):
    refuse(tmp_path, with_config(good, lambda c: PLACES[place](c, copy.deepcopy(evil))))


@pytest.mark.parametrize("name", ["os.system", "__import__", "../x", "Dense\0", "Ｄense", "", "x" * 10**6])
def test_s28_odd_class_names(good, tmp_path, name):
    refuse(tmp_path, with_config(good, lambda c: c["config"]["layers"][1].__setitem__("class_name", name)))


class Mine(maas.layers.Dense):
    """A class of the caller's that nobody registered."""


def test_unknown_classes_are_named_and_can_be_given(tmp_path):
    model = maas.Sequential([maas.Input((3,)), Mine(2)])
    model.save(tmp_path / "saved.keras")
    message = refuse(tmp_path, (tmp_path / "saved.keras").read_bytes())
    assert "'Mine'" in message and "custom_objects" in message and Mine.__module__ in message
    assert type(load_model(tmp_path / "m.keras", custom_objects={"Mine": Mine}).layers[0]) is Mine
    with maas.saving.custom_object_scope({"Mine": Mine}):
        assert type(load_model(tmp_path / "m.keras").layers[0]) is Mine


def test_unsafe_modes_say_that_they_do_not_exist(good, tmp_path):
    (tmp_path / "m.keras").write_bytes(good[1]["m.keras"])
    (tmp_path / "m.h5").write_bytes(good[1]["m.h5"])
    for name in ("m.keras", "m.h5"):
        with pytest.raises(ValueError, match="no unsafe mode.*safe_mode=False"):
            load_model(tmp_path / name, safe_mode=False)
    with pytest.raises(ValueError, match="no unsafe mode"):
        deserialize_keras_object({}, safe_mode=False)
    with pytest.raises(ValueError, match="no unsafe mode"):
        maas.saving.enable_unsafe_deserialization()


@register_keras_serializable("tests")
def double(x):
    return x * 2.0


def test_lambda_needs_its_function(good, tmp_path):
    def add_lambda(config):
        function = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
        config["config"]["layers"].append(
            {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "twice", "function": function}}
        )

    assert "custom_objects={'twice': function}" in refuse(tmp_path, with_config(good, add_lambda))
    model = load_model(tmp_path / "m.keras", custom_objects={"twice": double})
    assert model.layers[-1].function is double


@pytest.mark.parametrize("units", [2**31, 2**40, 2**62, 10**30, 10**6])
def test_s31_layers_larger_than_the_file(good, tmp_path, units):
    start = time.process_time()
    refuse(tmp_path, with_config(good, lambda c: c["config"]["layers"][1]["config"].__setitem__("units", units)))
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "text", ["[" * 100000, '{"a":' * 100000, "{}", "[]", "null", "\xff", '{"a": 1, "a": 2}', "{", "1e999", "9" * 5000]
)
def test_damaged_json(good, tmp_path, text):
    members = {k: bytes(v) for k, v in read_archive(good[1]["m.keras"]).items()}
    for name in ("config.json", "metadata.json"):
        if (name, text) == ("metadata.json", "{}"):
            continue  # no checksums: as from Keras
        changed = {**members, "metadata.json": b"{}", name: text.encode("latin-1")}
        refuse(tmp_path, archive_bytes(changed))


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@pytest.mark.parametrize(
    "content", [b"", b"x", pickle.dumps({"a": 1}), b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x1f\x8b", b"\0" * 5000]
)
def test_s34_other_files_under_our_suffixes(good, tmp_path, name, content):
    message = refuse(tmp_path, content, name)
    assert "pickle" in message or content[:1] != b"\x80"


def test_swapped_formats(good, tmp_path):
    assert "HDF5" in refuse(tmp_path, good[1]["m.h5"], "m.keras")
    assert "zip" in refuse(tmp_path, good[1]["m.keras"], "m.h5")
    assert "weights only" in refuse(tmp_path, good[1]["m.weights.h5"], "m.h5")


def test_paths_and_suffixes(good, tmp_path):
    for name in ("m.pkl", "m", "m.weights.h5", "m.onnx"):
        refuse(tmp_path, good[1]["m.keras"], name)
    for path in ("http://127.0.0.1/m.keras", "s3://x/m.keras", "file:///m.keras", "hf://a/b"):
        with pytest.raises(ValueError, match="fetches nothing"):
            load_model(path)
    for name in ("none.keras", "none.h5"):
        with pytest.raises(FileNotFoundError, match="not found"):
            load_model(tmp_path / name)
    for name in ("m.pkl", "m.weights.h5"):
        with pytest.raises(ValueError, match="received"):
            good[0].save(tmp_path / name)
    with pytest.raises(ValueError, match="weights.h5"):
        good[0].save_weights(tmp_path / "m.h5")


def same(a, b):
    return set(a) == set(b) and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_truncated_and_flipped_files_change_nothing(good, tmp_path, name):
    """Loading weights from a damaged file fails and leaves the model, or gives exactly what was saved."""
    model, saved = good
    data, expected = saved[name], models.state(model)
    other = maas.models.clone_model(model)
    other.compile(maas.optimizers.Adam(), loss="mse")
    other.optimizer.build(other.trainable_variables)
    before = models.state(other)
    path, rng = tmp_path / name, np.random.default_rng(1)
    cuts = [*range(0, 64, 7), *rng.integers(64, len(data) - 1, 40)]
    for n in cuts:
        path.write_bytes(data[:n])
        watch(path, lambda: other.load_weights(path))
        assert same(models.state(other), before)
    for i in rng.integers(0, len(data), 150):
        changed = bytearray(data)
        changed[i] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        try:
            other.load_weights(path)
        except ValueError:
            assert same(models.state(other), before), i
            continue
        got = models.state(other)
        assert all(np.array_equal(got[k], expected[k]) for k in got if k.startswith("w")), i
        other.set_weights([before[f"w{j}"] for j in range(4)])
        for j, v in enumerate(other.optimizer.variables):
            v.assign(before[f"o{j}"])


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_flipped_bytes_of_whole_models(good, tmp_path, name):
    model, saved = good
    expected, path, rng = models.state(model), tmp_path / name, np.random.default_rng(2)
    for i in rng.integers(0, len(saved[name]), 120):
        changed = bytearray(saved[name])
        changed[i] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        try:
            loaded = load_model(path)
        except ValueError:
            continue
        assert same(models.state(loaded), expected), i


def test_saved_files_hold_no_code(good, tmp_path):
    for data in good[1].values():
        for mark in (b"\x80\x04\x95", b"__reduce__", b"cbuiltins", b"c__builtin__", b"eval(", b"exec("):
            assert mark not in data


@pytest.mark.parametrize("count", [10**8, 10**12, 2**64, 1e300, float("nan"), float("inf"), -1, "9"])
@pytest.mark.parametrize("name", ["AUC", "PrecisionAtRecall"])
def test_s31_metrics_larger_than_any_metric(good, tmp_path, name, count):
    config = {"recall": 0.5, "num_thresholds": count} if name != "AUC" else {"num_thresholds": count}
    metric = {"module": "keras.metrics", "class_name": name, "config": config, "registered_name": None}
    start = time.process_time()
    refuse(tmp_path, with_config(good, lambda c: c["compile_config"].__setitem__("metrics", [metric])))
    assert time.process_time() - start < 2


def test_s31_metrics_of_legacy_files(good, tmp_path):
    def fill(file):
        with h5py.File(io.BytesIO(good[1]["m.h5"])) as source:
            for name in source:
                source.copy(name, file)
            for name, value in source.attrs.items():
                if name != CHECKSUM:
                    file.attrs[name] = value
        config = json.loads(file.attrs["training_config"])
        config["metrics"] = [{"class_name": "AUC", "config": {"num_thresholds": 10**12}}]
        file.attrs["training_config"] = json.dumps(config)

    start = time.process_time()
    assert "asks for more state" in refuse(tmp_path, files.hdf5(fill), "m.h5")
    assert time.process_time() - start < 2


@pytest.mark.parametrize("size", [2**64, 10**30, -(2**63) - 1])
def test_sizes_past_64_bits_in_operations(tmp_path, size):
    x = maas.Input((4, 2))
    maas.Model(x, maas.ops.reshape(x, (-1, 8))).save(tmp_path / "saved.keras")
    members = {k: bytes(v) for k, v in read_archive((tmp_path / "saved.keras").read_bytes()).items()}
    assert b'"newshape": [-1, 8]' in members["config.json"]
    members["config.json"] = members["config.json"].replace(b'"newshape": [-1, 8]', b'"newshape": [-1, %d]' % size)
    refuse(tmp_path, archive_bytes({**members, "metadata.json": b"{}"}))

"""The table of names without a value test: every delivered name of Keras is compared with Keras somewhere in the tests.

A test module says what it compares in `CLAIMS`, a set of names such as "losses.dice" that it computes from its cases. A
module that compares with Keras and has no such set claims the names that stand in it.
"""

import ast
import importlib
import json
import re
import types
from pathlib import Path

import pytest

import maas

HERE = Path(__file__).parent
SURFACE = json.loads((HERE / "keras-surface.json").read_text())
# No value to compare, none that Keras on JAX would give, or compared from a list: why, and the test that looks at it.
OTHERWISE = {
    "device": "where things run; tests/cuda/test_devices.py",
    "__version__": "a version of its own; tests/test_package.py",
    "version": "a version of its own; tests/api/test_top_level.py",
    # Keras makes these of tf.data, so the oracle is plain Python.
    **dict.fromkeys(
        (
            "utils.audio_dataset_from_directory utils.image_dataset_from_directory utils.split_dataset "
            "utils.text_dataset_from_directory utils.timeseries_dataset_from_array"
        ).split(),
        "tests/data/test_dataset.py",
    ),
    "utils.get_file": "a server on this machine; tests/utils/test_get_file.py",
    "utils.model_to_dot": "pictures of its own, without Graphviz; tests/utils/test_model_visualization.py",
    "utils.plot_model": "pictures of its own, without Graphviz; tests/utils/test_model_visualization.py",
    "callbacks.TensorBoard": "Keras needs TensorFlow; a reader of event files in tests/callbacks/test_tensorboard.py",
    "export.ExportArchive": "a format of its own; tests/export/test_export_archive.py",
    "config.enable_unsafe_deserialization": "raises here: files never run code; tests/saving/test_hostile.py",
    "applications.": "every model and module of Keras's list; tests/applications/test_applications.py",
}


def delivered():
    """(name, class) of Keras's own names, not aliases, that exist here; modules are not names."""
    for module, classes in SURFACE["classes"].items():
        try:
            found = importlib.import_module(module.replace("keras", "maas", 1))
        except ModuleNotFoundError:
            continue
        for kind, names in classes.items():
            for name in names:
                if hasattr(found, name) and not isinstance(getattr(found, name), types.ModuleType):
                    yield f"{module}.{name}".removeprefix("keras."), kind


def declared(path):
    """`CLAIMS` of a test module, None if it has none."""
    tree = ast.parse(path.read_text())
    if not any(
        isinstance(n, ast.Assign) and any(getattr(t, "id", "") == "CLAIMS" for t in n.targets) for n in tree.body
    ):
        return None
    module = importlib.import_module(".".join(path.relative_to(HERE.parent).with_suffix("").parts))
    return module.CLAIMS


def mentioned(name, text):
    """Whether a module's text has a name: a class anywhere, a function after its module."""
    *module, last = name.split(".")
    if last[0].isupper():
        return re.search(rf"\b{last}\b", text) is not None
    home = re.escape((module or ["maas"])[-1])
    return re.search(rf"\b{home}\.{last}\b", text) is not None


def spellings():
    """name -> itself and its aliases in the same module."""
    names = {}
    for module, aliases in SURFACE["aliases"].items():
        for alias, target in aliases.items():
            if target.rpartition(".")[0] == module or target == module:
                names.setdefault(target.removeprefix("keras."), []).append(f"{module}.{alias}".removeprefix("keras."))
    return names


def comparing_modules():
    """Test modules, and the case files they read, that know real Keras or TensorFlow."""
    for path in sorted(HERE.rglob("*.py")):
        text = path.read_text()
        if path.name in ("conftest.py", Path(__file__).name, "test_names.py"):
            continue
        if re.search(r"\bimport(orskip\(\")? ?(keras|tensorflow)\b|\bdef \w+\(keras\b|lambda nn: nn\.", text):
            yield path, text


def test_the_table_is_empty():
    names = dict(delivered())
    claims, texts = set(), []
    for path, text in comparing_modules():
        own = declared(path)
        claims |= own or set()
        if own is None:
            texts.append(text)
    others = spellings()
    unknown = {c for c in claims if c not in names} - {f"ops.{n}" for n in dir(maas.ops)}
    assert not {c for c in unknown if not _exists(c)}, "claimed, but not there"
    table = [
        f"{kind:6} {name}"
        for name, kind in sorted(names.items())
        if not reason(name)
        and not any(n in claims or any(mentioned(n, t) for t in texts) for n in (name, *others.get(name, ())))
    ]
    print("names without a value test:", *table, sep="\n  ")
    assert table == []


def _exists(name):
    value = maas
    for part in name.split("."):
        value = getattr(value, part, None)
    return value is not None


@pytest.mark.parametrize("module", SURFACE["aliases"])
def test_aliases_are_the_same_object(module):
    """An alias of a delivered name is that object, where Keras has it."""
    for alias, target in SURFACE["aliases"][module].items():
        try:
            where = importlib.import_module(module.replace("keras", "maas", 1))
            *home, last = target.replace("keras.", "", 1).split(".")
            real = importlib.import_module(".".join(["maas", *home]))
        except ModuleNotFoundError:
            continue
        if hasattr(real, last) and hasattr(where, alias):
            assert getattr(where, alias) is getattr(real, last), f"{module}.{alias}"


def reason(name):
    """Why a name needs no claim, None if it does."""
    return OTHERWISE.get(name) or (OTHERWISE["applications."] if name.startswith("applications.") else None)


def test_exceptions_name_their_tests():
    for name in dict(delivered()):
        if reason(name):
            assert (HERE.parent / re.search(r"tests/\S+\.py", reason(name))[0]).exists(), name

"""Names: what Keras has is there, or the error says that it is not there yet; no module hides a function."""

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import maas
from maas.missing_names import NOT_YET


def keras_names():
    """Keras's public names by module, with sub-modules, from the list of its export files."""
    surface = json.loads((Path(__file__).parent / "keras-surface.json").read_text())
    spaces = {}
    for module, classes in surface["classes"].items():
        spaces.setdefault(module, set()).update(n for names in classes.values() for n in names)
    for module, aliases in surface["aliases"].items():
        spaces.setdefault(module, set()).update(aliases)
    for module in list(spaces):
        parts = module.split(".")
        for i in range(1, len(parts)):
            spaces.setdefault(".".join(parts[:i]), set()).add(parts[i])
    return {module.replace("keras", "maas", 1): names for module, names in spaces.items()}


KERAS = keras_names()
MODULES = sorted({"maas", "maas.datasets"} | {f"maas.{n}" for n in maas._SUBMODULES} | set(NOT_YET))


@pytest.mark.parametrize("module", MODULES)
def test_a_name_of_keras_is_there_or_said_to_be_missing(module):
    found = importlib.import_module(module)
    for name in KERAS.get(module, ()):
        if not hasattr(found, name):
            with pytest.raises(AttributeError, match=f"^{module} has no '{name}': Keras has it, maas does not yet$"):
                getattr(found, name)


@pytest.mark.parametrize("module", NOT_YET)
def test_names_said_to_be_of_keras_are(module):
    assert set(NOT_YET[module].split()) <= KERAS[module]


@pytest.mark.parametrize("module", MODULES)
def test_any_other_name_is_a_clear_error(module):
    found = importlib.import_module(module)
    with pytest.raises(AttributeError, match=f"^{module} has no 'Qqq'"):
        getattr(found, "Qqq")  # noqa: B009
    assert not hasattr(found, "Qqq") and not hasattr(found, "__qqq__")
    assert all(hasattr(found, name) for name in getattr(found, "__all__", ()))


@pytest.mark.parametrize(
    "module, name, hint",
    [
        ("maas", "Sequentail", r"\. Did you mean 'Sequential'\?"),
        ("maas", "Dense", "; it is maas.layers.Dense"),
        ("maas.layers", "dense", r"\. Did you mean 'Dense'\?"),
        ("maas.ops", "summ", r"\. Did you mean 'sum'\?"),
        ("maas.optimizers", "Addam", r"\. Did you mean 'Adam'"),
        ("maas.datasets", "digit", r"\. Did you mean 'digits'\?"),
    ],
)
def test_near_matches(module, name, hint):
    with pytest.raises(AttributeError, match=f"^{module} has no '{name}'{hint}"):
        getattr(importlib.import_module(module), name)


def test_an_import_statement_says_the_same():
    with pytest.raises(ImportError, match="maas.layers has no 'JaxLayer': Keras has it, maas does not yet"):
        from maas.layers import JaxLayer  # noqa: F401
    with pytest.raises(ImportError, match=r"maas.layers has no 'Dence'\. Did you mean 'Dense'\?"):
        from maas.layers import Dence  # noqa: F401
    with pytest.raises(ImportError, match="maas has no 'quantizers': Keras has it, maas does not yet"):
        from maas import quantizers  # noqa: F401


def test_methods_of_models_and_layers():
    import keras

    model = maas.Sequential([maas.layers.Dense(1)])
    for ours, theirs in ((maas.layers.Dense, keras.layers.Layer), (maas.Sequential, keras.Sequential)):
        for name in dir(theirs):
            if not name.startswith("_") and not hasattr(ours, name):
                with pytest.raises(AttributeError, match=f"^{ours.__name__} has no '{name}': Keras has it, maas does"):
                    getattr(ours, name)
    with pytest.raises(AttributeError, match="^Sequential has no 'quantize': Keras has it, maas does not yet"):
        model.quantize("int8")
    with pytest.raises(ValueError, match=r"saved as .keras, .maas or legacy .h5, its weights alone as .weights.h5"):
        model.save("model.onnx")


def test_no_module_hides_a_function():
    for info in pkgutil.walk_packages(maas.__path__, "maas."):
        if not info.name.endswith(("__main__", "libmaas", "libmaas_cuda", "libmaas_tls")):
            importlib.import_module(info.name)
    for module, names in KERAS.items():
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError:
            continue
        modules = [n for n in names if type(getattr(found, n, None)) is type(maas)]
        assert [n for n in modules if f"{module}.{n}" not in KERAS] == [], module


def test_texts_name_only_what_exists():
    """`maas.x.y` in the sources of the package is a name that can be looked up."""
    import re

    for path in sorted(Path(maas.__file__).parent.rglob("*.py")):
        for name in set(re.findall(r"`(maas(?:\.[a-z_]+)*\.[A-Za-z_0-9]+)(?:\(.*?\))?`", path.read_text())):
            *module, last = name.split(".")
            value = maas
            for part in module[1:]:
                value = getattr(value, part)
            assert hasattr(value, last) or name.startswith("maas.ops.cond"), f"{path}: {name}"


def test_layers_that_prepare_data_load_when_asked_for():
    program = (
        "import sys, maas.layers as layers; own = 'maas.layers.preprocessing.'; "
        "print(*[m for m in sys.modules if m.startswith(own)]); "
        "layers.Resizing; print(own + 'image_sizes' in sys.modules, set(layers.__all__) <= set(dir(layers)))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == ["maas.layers.preprocessing.scaling", "True True"]

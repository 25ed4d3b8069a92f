"""`maas.ops`: functions on tensors, with the names and semantics of `keras.ops`.

Arrays are computed at once, symbolic tensors are recorded in the trace, KerasTensors become nodes of a functional
model.
"""

import importlib

from maas import missing_names

_MODULES = (
    "core",
    "elementwise",
    "pointwise",
    "special",
    "nan",
    "parts",
    "windows",
    "views",
    "linear",
    "linalg",
    "fft",
    "reduction",
    "shape",
    "gather",
    "scatter",
    "sorting",
    "arrays",
    "bits",
    "layout",
    "softmax",
    "losses",
    "nn_conv",
    "normalization",
    "attention",
    "recurrent",
    "select",
    "control",
)


def _load():
    loaded = []
    for module in _MODULES:
        loaded.append(importlib.import_module(f"maas.ops.{module}"))
    # After all imports: a function may have the name of a module (shape), and the function is what users mean.
    for module in loaded:
        own = [
            n
            for n, v in vars(module).items()
            if getattr(v, "__module__", None) == module.__name__ and not n.startswith("_")
        ]
        for name in getattr(module, "__all__", own):
            globals()[name] = getattr(module, name)


_load()
image = importlib.import_module("maas.ops.image")
for _module in ("image_warp", "image_filters", "image_resampling"):
    _module = importlib.import_module(f"maas.ops.{_module}")
    for _name in _module.__all__:
        setattr(image, _name, getattr(_module, _name))
    image.__all__ += _module.__all__
linalg = importlib.import_module("maas.ops.linalg")
importlib.import_module("maas.backend.tensor_methods")
from maas.transforms.custom_gradient import custom_gradient  # noqa: E402, F401


def __getattr__(name):
    if name in ("nn", "numpy"):  # the same functions under other names
        return importlib.import_module(f"maas.ops.{name}")
    raise missing_names.missing(__name__, name)

"""`maas.ops`: functions on tensors, with the names and semantics of `keras.ops`.

Arrays are computed at once, symbolic tensors are recorded in the trace, KerasTensors become nodes of a functional model.
"""

import importlib

_MODULES = ("core", "elementwise", "views", "linear", "reduction", "shape", "gather", "losses", "nn_conv", "norm", "attention", "recurrent")


def _load():
    for module in _MODULES:
        try:
            loaded = importlib.import_module(f"maas.ops.{module}")
        except ModuleNotFoundError as e:
            if e.name != f"maas.ops.{module}":
                raise
            continue
        own = [n for n, v in vars(loaded).items() if getattr(v, "__module__", None) == loaded.__name__ and not n.startswith("_")]
        for name in getattr(loaded, "__all__", own):
            globals()[name] = getattr(loaded, name)


_load()

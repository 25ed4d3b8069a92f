"""`maas.ops`: functions on tensors, with the names and semantics of `keras.ops`.

Arrays are computed at once, symbolic tensors are recorded in the trace, KerasTensors become nodes of a functional model.
"""

import importlib

_MODULES = ("core", "elementwise", "views", "linear", "reduce", "shape", "gather", "losses", "nn_conv", "norm", "attention", "recurrent")


def _load():
    for module in _MODULES:
        loaded = importlib.import_module(f"maas.ops.{module}")
        for name in loaded.__all__:
            globals()[name] = getattr(loaded, name)


_load()

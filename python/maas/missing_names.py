"""What to say about a name that a public module does not have.

Every public module ends with `__getattr__ = missing_names.getattr_of(__name__)`.
"""

import sys

# Keras's names that were not here yet when this was written, by module. A name that has come since does no harm: it is
# looked up only after the module itself.
NOT_YET = {
    "maas": "Quantizer distillation distribution quantizers visualization",
    "maas.callbacks": "OrbaxCheckpoint",
    "maas.config": "set_backend",
    "maas.dtype_policies": (
        "AWQDTypePolicy GPTQDTypePolicy Int4DTypePolicy QuantizedDTypePolicy QuantizedFloat8DTypePolicy"
    ),
    "maas.layers": "FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper",
    "maas.ops": "ctc_decode polar view view_as_complex view_as_real",
    "maas.ops.nn": "ctc_decode polar",
    "maas.ops.numpy": "view",
    "maas.optimizers": "legacy",
    "maas.utils": "FeatureSpace",
}

# Where a name may be that a user looks for in `maas` itself.
_HOMES = "layers models losses metrics optimizers callbacks initializers regularizers activations utils saving".split()


def missing(module, name):
    """The exception for `module.name`: an AttributeError, or an ImportError inside `from module import name`.

    Args:
        module: str, the module's full name.
        name: str.

    Returns:
        Exception with the near matches, or with the word that Keras has the name and maas does not yet.
    """
    caller = sys._getframe(2)
    if name.startswith("_") or caller.f_globals.get("__name__", "").startswith("importlib"):
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    text = f"{module} has no {name!r}" + _hint(module, name)
    # Python drops the text of an AttributeError when an import statement asks, and says only "cannot import name".
    return ImportError(text, name=module) if _imports(caller) else AttributeError(text)


def getattr_of(module):
    """`__getattr__` for a module that has all its names already."""

    def __getattr__(name):
        raise missing(module, name)

    return __getattr__


def _hint(module, name):
    if name in NOT_YET.get(module, "").split():
        return ": Keras has it, maas does not yet"
    if module == "maas":
        import importlib

        for home in _HOMES:
            if name in _public_names(importlib.import_module(f"maas.{home}")):
                return f"; it is maas.{home}.{name}"
    near = near_matches(name, _public_names(sys.modules[module]))
    return f". Did you mean {' or '.join(map(repr, near))}?" if near else ""


def _public_names(module):
    names = getattr(module, "__all__", None)
    if names is not None:
        return names
    return [n for n, v in vars(module).items() if not n.startswith("_") and type(v) is not type(sys)]


def near_matches(name, names, count=3, least=0.7):
    """Up to `count` of `names` that `name` may be a slip of, the nearest first; upper and lower case are alike.

    `least` is the least likeness, from 0 to 1.
    """
    from difflib import get_close_matches

    by_lower = {}
    for n in names:
        by_lower.setdefault(n.lower(), n)
    return [by_lower[n] for n in get_close_matches(name.lower(), by_lower, count, least)]


def unknown_name(kind, name, known):
    """The text for a name that a table of names does not hold.

    Args:
        kind: str, what the name should be: "optimizer".
        name: str.
        known: the names of the table; of several spellings the one in lower case is shown.
    """
    near = near_matches(name, sorted(known, key=str.islower, reverse=True), 1, 0.6)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(sorted(n for n in known if n.islower()))
    return f"unknown {kind} {name!r}.{hint} Known are {shown}; received {name!r}"


def near_argument(cls, names):
    """A hint for keyword arguments that a class does not take: " (did you mean activation?)", or nothing."""
    import inspect

    known = {p for c in cls.__mro__ if "__init__" in vars(c) for p in inspect.signature(c.__init__).parameters}
    near = [n for name in names for n in near_matches(name, known - {"self", "args", "kwargs"}, 1)]
    return f" (did you mean {', '.join(near)}?)" if near else ""


class NotYet:
    """A method of Keras's class that maas's class does not have; `hasattr` says False. Subclasses may define it."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner):
        raise AttributeError(f"{owner.__name__} has no {self.name!r}: Keras has it, maas does not yet")


def _imports(frame):
    import dis

    code = frame.f_code.co_code
    return 0 <= frame.f_lasti < len(code) and code[frame.f_lasti] == dis.opmap["IMPORT_FROM"]

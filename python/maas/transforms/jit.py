"""`jit`: a Python function as a compiled program."""

import functools
import inspect
import warnings
from collections import OrderedDict

import numpy as np

from maas import _core, tree
from maas.backend import call_context, config
from maas.backend.keras_tensor import KerasTensor
from maas.backend.standardize import standardize_dtype
from maas.transforms.leaves import is_array, is_variable, name_of, named

_CAPACITY = 64  # programs kept per function
_MANY = 16  # programs of one function after which a warning says so
_CONSTANTS = (str, bytes, bool, int, float, complex, type(None))


def jit(f=None, *, static_argnums=(), static_argnames=(), open_batch=True, accuracy="fast"):
    """`f` compiled: traced once per signature, then one program without Python: `jit(f)(*args) = f(*args)`.

    A signature is the nesting of the arguments, shapes and dtypes of arrays, and the values of everything else:
    numbers, strings, None and static arguments are constants of the program. Give a number that changes often as an
    array (`np.float32(0.1)`). The first size of arrays that are called with several sizes becomes unknown with the
    second one; a function that needs it as a number gets a program per size.

    Variables that `f` reads and writes are state of the program; a call that fails leaves them as they were. Layers
    may be built in `f`. Attribute writes on layers and optimizers that `f` used, `trainable` flags, floatx and
    epsilon are noticed. Python runs while tracing only: prints, appends to lists and changes of closed-over Python
    values (not Variables) happen once per signature, and values that changed later are not seen. Inside another trace,
    and while a `GradientTape` records, `f` itself is called.

    Args:
        f: function of nested arrays, Variables and constants, that returns nested tensors; without it, a decorator.
        static_argnums: int or tuple of int; these positional arguments are hashable constants of any type.
        static_argnames: str or tuple of str; the same for keyword arguments.
        open_batch: bool; False compiles a program for every size.
        accuracy: "fast", or "exact" for no algorithm that trades rounding errors for speed (Winograd's convolution).

    Returns:
        Function with the arguments of `f`. It has `plan(*args)`, the text of the program, and `clear()`.

    Raises:
        ValueError: for another accuracy.
        TypeError: for a function that is not callable, a static argument that is not hashable, or a Python branch on a
            traced value (use `ops.cond`).
    """
    if f is None:
        return functools.partial(
            jit,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            open_batch=open_batch,
            accuracy=accuracy,
        )
    return Jitted(f, static_argnums, static_argnames, open_batch, accuracy)


class _Program:
    """A compiled signature: how results are packed, and what it depends on besides the arguments."""

    __slots__ = ("held", "program", "structure", "used")

    def is_fresh(self):
        return all(o._version == version for o, version in self.used)


class Jitted:
    """What `jit` returns."""

    def __init__(self, f, static_argnums, static_argnames, open_batch, accuracy="fast"):
        if not callable(f):
            raise TypeError(f"jit: a function is needed, received {f!r}")
        if accuracy not in ("fast", "exact"):
            raise ValueError(f"jit: accuracy must be 'fast' or 'exact', received {accuracy!r}")
        functools.update_wrapper(self, f, updated=())
        self._f, self._open_batch, self._accuracy = f, open_batch, accuracy
        self._name = name_of(f)
        self._static_nums = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
        names = {static_argnames} if isinstance(static_argnames, str) else set(static_argnames)
        names |= _names_at(f, self._static_nums)
        self._static_names = names
        self._nums_of_names = _nums_of(f, names)
        self._programs = OrderedDict()
        self._shapes = {}  # by signature without first sizes: those of the last call
        self._no_open = set()
        self._warned = False

    def __repr__(self):
        return f"<maas.jit of {self._name}, {len(self._programs)} programs>"

    def __get__(self, instance, owner=None):
        """A jitted method: one program per object and signature."""
        return self if instance is None else functools.partial(self, instance)

    def clear(self):
        """Forget all programs."""
        self._programs.clear()
        self._shapes.clear()
        self._no_open.clear()

    def plan(self, *args, **kwargs):
        """The steps and kernels of the program for these arguments, as text."""
        if _core.is_tracing():
            raise RuntimeError(f"{self._name}: plan() needs values, received a call inside a trace")
        return self._find(args, kwargs)[0].program.plan

    def __call__(self, *args, **kwargs):
        if _core.is_tracing() or _core.is_recording():
            return self._f(*args, **kwargs)
        leaves = tree.flatten((args, kwargs))
        if any(isinstance(x, KerasTensor) for x in leaves):
            return self._f(*args, **kwargs)
        entry, arrays = self._find(args, kwargs)
        values = entry.program(*arrays)
        return tree.map_structure(lambda x: values[x.at] if type(x) is _At else x, entry.structure)

    # ---- signatures

    def _is_static(self, where):
        return where in self._static_nums or where in self._nums_of_names or where in self._static_names

    def _split(self, args, kwargs):
        """(arguments with arrays replaced by `_At`, arrays, what the program depends on besides shapes)."""
        arrays, key = [], []

        def take(x):
            if is_array(x):
                arrays.append(x)
                return _At(len(arrays) - 1)
            if isinstance(x, _CONSTANTS):
                key.append((type(x), x))
            elif is_variable(x) or hasattr(x, "_version"):
                key.append(("object", id(x)))
            elif callable(x) or isinstance(x, np.dtype):
                key.append(x)
            else:
                raise TypeError(
                    f"{self._name}: an argument must be an array, Variable, number, string or None; give others as "
                    f"static_argnums or static_argnames, received {type(x).__name__}"
                )
            return x

        def argument(where, x):
            if not self._is_static(where):
                form = _form(x)
                key.append(form)
                return tree.map_structure(take, x)
            try:
                hash(x)
            except TypeError:
                raise TypeError(
                    f"{self._name}: the static argument {where!r} must be hashable, received {type(x).__name__}"
                ) from None
            key.append(("static", type(x), x))
            return x

        new_args = [argument(i, x) for i, x in enumerate(args)]
        new_kwargs = {}
        for k in sorted(kwargs):
            key.append(k)
            new_kwargs[k] = argument(k, kwargs[k])
        return (new_args, new_kwargs), arrays, tuple(key)

    def _find(self, args, kwargs):
        call, arrays, key = self._split(args, kwargs)
        arrays = [x if isinstance(x, (np.ndarray, _core.Tensor)) else np.asarray(x) for x in arrays]
        for x in arrays:
            if getattr(x, "is_symbolic", False):
                raise RuntimeError(f"{self._name}: a tensor of a trace that has ended has no value, received {x!r}")
        settings = (config.floatx(), config.epsilon(), config.image_data_format(), call_context.trainable_version())
        dtypes = tuple(str(x.dtype) for x in arrays)
        rests = tuple(tuple(x.shape[1:]) if len(x.shape) else None for x in arrays)
        firsts = tuple(x.shape[0] if len(x.shape) else None for x in arrays)
        loose = (key, settings, dtypes, rests)
        shapes = self._open_shapes(loose, firsts)
        entry = self._get((loose, shapes))
        if entry is None:
            try:
                entry = self._trace(call, arrays, dtypes, rests, shapes)
            except Exception:
                if "batch" not in shapes:
                    raise
                # It needs the size as a number; an error of its own comes again.
                self._no_open.add(loose)
                shapes = firsts
                entry = self._get((loose, shapes)) or self._trace(call, arrays, dtypes, rests, shapes)
            self._keep((loose, shapes), entry)
        return entry, arrays

    def _open_shapes(self, loose, firsts):
        """First sizes, "batch" for those that differ from call to call. A size of 1 broadcasts, so it stays."""
        if not self._open_batch or loose in self._no_open:
            return firsts
        last = self._shapes.get(loose)
        if last is None:
            self._shapes[loose] = [firsts, None]
            return firsts
        first, open_at = last
        if open_at is None:
            moved = [i for i, (a, b) in enumerate(zip(first, firsts)) if a != b]
            if not moved or not _one_size(first, moved) or not _one_size(firsts, moved):
                return firsts
            # All that had this size with the moved ones in both calls moves.
            last[1] = open_at = frozenset(moved)
        if firsts == first or not _one_size(firsts, open_at):
            return firsts
        if any(a != b for i, (a, b) in enumerate(zip(first, firsts)) if i not in open_at):
            return firsts
        return tuple("batch" if i in open_at else n for i, n in enumerate(firsts))

    def _get(self, key):
        entry = self._programs.get(key)
        if entry is None:
            return None
        if not entry.is_fresh():
            del self._programs[key]
            return None
        self._programs.move_to_end(key)
        return entry

    def _keep(self, key, entry):
        self._programs[key] = entry
        if len(self._programs) > _CAPACITY:
            self._programs.popitem(last=False)
        if len(self._programs) > _MANY and not self._warned:
            self._warned = True
            warnings.warn(
                f"{self._name} was compiled for {len(self._programs)} signatures; numbers are constants of a program, "
                "give those that change as arrays (np.float32(x)), and pad sizes that change",
                stacklevel=4,
            )

    # ---- tracing

    def _trace(self, call, arrays, dtypes, rests, shapes):
        entry = _Program()
        entry.held = call  # what the key knows by id stays alive
        with call_context.noting() as used, _core.Trace() as trace:
            symbols = [
                trace.input(() if rest is None else (first, *rest), dtype=standardize_dtype(dtype), name=f"input_{i}")
                for i, (first, rest, dtype) in enumerate(zip(shapes, rests, dtypes))
            ]
            args, kwargs = tree.map_structure(lambda x: symbols[x.at] if type(x) is _At else x, call)
            try:
                outputs = self._f(*args, **kwargs)
            except Exception as e:
                raise named(e, self._name)  # noqa: B904, the same error
            flat = []

            def place(x):
                if isinstance(x, _core.Tensor) or is_variable(x) or is_array(x):
                    flat.append(x if isinstance(x, _core.Tensor) else _core.Tensor(x) if is_array(x) else x.value)
                    return _At(len(flat) - 1)
                return x

            entry.structure = tree.map_structure(place, outputs)
            entry.program = trace.compile(flat, name=self._name, accuracy=self._accuracy)
        entry.used = [(o, o._version) for o in used]
        return entry


class _At:
    """The place of an array among the inputs or outputs of a program."""

    __slots__ = ("at",)

    def __init__(self, at):
        self.at = at


def _one_size(firsts, places):
    sizes = {firsts[i] for i in places}
    return len(sizes) == 1 and not sizes & {0, 1, None}


def _form(x):
    if isinstance(x, dict):
        return (type(x), *((k, _form(v)) for k, v in x.items()))
    if isinstance(x, (list, tuple)):
        return (type(x), *(_form(v) for v in x))
    return is_array(x)


def _parameters(f):
    try:
        return [
            p
            for p in inspect.signature(f).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        return []


def _names_at(f, nums):
    parameters = _parameters(f)
    return {parameters[n].name for n in nums if -len(parameters) <= n < len(parameters)}


def _nums_of(f, names):
    return {i for i, p in enumerate(_parameters(f)) if p.name in names}

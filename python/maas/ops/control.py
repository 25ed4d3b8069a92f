"""Branches and loops: inside a trace they become ops that hold sub-graphs, on values they are Python's own."""

import numpy as np

from maas import _core, tree
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast

__all__ = [
    "associative_scan",
    "cond",
    "fori_loop",
    "map",
    "scan",
    "switch",
    "vectorized_map",
    "while_loop",
]


class _Body:
    """A function recorded on placeholders shaped like `args`; its outputs are flattened.

    Args:
        function: takes `args`, returns nested tensors (None stays None).
        args: list of nested Tensors; lists in `sliced` lose their first axis.
    """

    def __init__(self, function, args, sliced=()):
        with _core.Trace(body=True) as self.trace:
            inputs = [
                tree.map_structure(lambda x, cut=i in sliced: self._input(x, cut), arg) for i, arg in enumerate(args)
            ]
            self.outputs = function(*inputs)
            self.flat = [as_tensor(x) for x in tree.flatten(self.outputs) if x is not None]

    def _input(self, x, cut):
        return None if x is None else self.trace.input(x.dims[1:] if cut else x.dims, dtype=x.dtype, name="")

    def pack(self, values):
        """`values` in the structure of the outputs."""
        values = iter(values)
        return tree.map_structure(lambda x: None if x is None else next(values), self.outputs)


def _tensors(structure):
    return tree.map_structure(lambda x: None if x is None else as_tensor(x), structure)


def _leaves(structure):
    return [x for x in tree.flatten(structure) if x is not None]


def _close(bodies, write, carries, name):
    return _core.close_bodies([b.trace for b in bodies], [b.flat for b in bodies], write, carries, name)


def _results(values, written, at):
    """The op's outputs as a list, after those at `at` were given to the variables that bodies wrote."""
    values = list(values) if isinstance(values, tuple) else [values]
    for variable, value in zip(written, values[at : at + len(written)]):
        variable.assign(value)
    return values[:at] + values[at + len(written) :]


def _is_known(x):
    return getattr(x, "has_value", True)


def _runs_now():
    """True where Python itself may walk loops: outside traces, and in those that run what they record."""
    return not _core.is_tracing() or _core.has_values()


@op
def cond(pred, true_fn, false_fn):
    """`true_fn()` where `pred` holds, else `false_fn()`; only one of them runs.

    Args:
        pred: scalar, bool or number.
        true_fn, false_fn: functions without arguments that return nested tensors of one structure, shape and dtype.
            Both may read outside values and variables, and write variables.

    Returns:
        What the branch that ran returned.

    Raises:
        ValueError: if the branches differ in structure, shapes or dtypes.
    """
    if isinstance(pred, _core.Variable) or hasattr(pred, "__maas_variable__"):
        pred = as_tensor(pred)
    if _is_known(pred):
        return true_fn() if bool(pred) else false_fn()
    return _branch(cast(pred, "bool"), [false_fn, true_fn], "cond")


@op
def switch(index, branches, *operands):
    """`branches[index](*operands)`; an index out of range takes the nearest branch.

    Args:
        index: scalar integer.
        branches: list of functions that return nested tensors of one structure, shape and dtype.
        *operands: nested tensors.
    """
    if len(branches) == 0:
        raise ValueError("switch: at least one branch is needed, received an empty list")
    if isinstance(index, _core.Variable) or hasattr(index, "__maas_variable__"):
        index = as_tensor(index)
    if _is_known(index):
        return branches[min(max(int(index), 0), len(branches) - 1)](*operands)
    return _branch(cast(index, "int32"), [lambda f=f: f(*operands) for f in branches], "switch")


def _branch(index, functions, name):
    bodies = [_Body(f, []) for f in functions]
    first = bodies[-1]
    for other in bodies[:-1]:
        try:
            tree.assert_same_structure(first.outputs, other.outputs)
        except ValueError as e:
            raise ValueError(f"{name}: all branches must return one structure: {e}") from None
        if [x is None for x in tree.flatten(first.outputs)] != [x is None for x in tree.flatten(other.outputs)]:
            raise ValueError(
                f"{name}: all branches must return one structure, received {first.outputs} and {other.outputs}"
            )
    graphs, captures, written, before = _close(bodies, [True] * len(bodies), 0, name)
    if not first.flat and not written:
        return first.outputs
    return first.pack(_results(_core.branch(index, *before, *captures, bodies=graphs), written, 0))


@op
def while_loop(cond, body, loop_vars, maximum_iterations=None):
    """`while cond(*loop_vars): loop_vars = body(*loop_vars)`.

    Args:
        cond: function of the loop variables that returns a scalar bool.
        body: function of the loop variables that returns their next values, of the same shapes and dtypes.
        loop_vars: tuple or list of (nested) tensors, or one tensor.
        maximum_iterations: int, ends the loop at the latest. A gradient through the loop needs it.

    Returns:
        The final loop variables, structured like `loop_vars`.
    """
    several = isinstance(loop_vars, (tuple, list))
    values = [_tensors(v) for v in (loop_vars if several else (loop_vars,))]
    bound = None if maximum_iterations is None else max(int(maximum_iterations), 0)

    def following(*args):
        result = body(*args)
        result = list(result) if several else [result]
        if len(result) != len(values):
            raise ValueError(
                f"while_loop: body must return as many values as there are loop_vars, {len(values)}, "
                f"received {len(result)}"
            )
        return result

    if _runs_now():
        turn = 0
        while (bound is None or turn < bound) and bool(cond(*values)):
            values, turn = following(*values), turn + 1
        values = [_tensors(v) for v in values]
    else:
        turn = _Body(following, values)
        _same_structure("while_loop", values, turn.outputs)
        going_on = _Body(lambda *args: cast(cond(*args), "bool"), values)
        n = len(_leaves(values))
        graphs, captures, written, before = _close([turn, going_on], [True, False], n, "while_loop")
        results = _core.loop(
            *_leaves(values),
            *before,
            *captures,
            bodies=graphs,
            carries=n + len(written),
            length=[] if bound is None else [bound],
        )
        values = turn.pack(_results(results, written, n))
    return type(loop_vars)(values) if type(loop_vars) in (tuple, list) else tuple(values) if several else values[0]


def _same_structure(name, before, after):
    try:
        tree.assert_same_structure(before, after)
    except ValueError as e:
        raise ValueError(f"{name}: the body must return the structure it was given: {e}") from None


@op
def fori_loop(lower, upper, body_fun, init_val):
    """`for i in range(lower, upper): val = body_fun(i, val)`.

    Args:
        lower, upper: integers; a gradient needs them to be known numbers or sizes.
        body_fun: function of the index (scalar int32) and the value that returns the next value.
        init_val: nested tensors.

    Returns:
        The final value.
    """
    init = _tensors(init_val)
    if _runs_now():
        for i in range(int(lower), int(upper)):
            init = body_fun(as_tensor(i), init)
        return _tensors(init)
    static = all(isinstance(v, _core.Dim) or _is_known(v) for v in (lower, upper))

    def turn(i, value):
        return [i + 1, body_fun(i, value)]

    if static:
        lower, upper = (v if isinstance(v, _core.Dim) else int(v) for v in (lower, upper))
        distance = upper - lower
        length = [distance.max(0) if isinstance(distance, _core.Dim) else max(distance, 0)]
        start, count = as_tensor(lower, "int32"), []
    else:
        start, length = cast(lower, "int32"), []
        count = [_core.maximum(cast(cast(upper, "int32") - start, "int32"), 0)]
    body = _Body(turn, [start, init])
    _same_structure("fori_loop", init, body.outputs[1])
    values = [start, *_leaves(init)]
    graphs, captures, written, before = _close([body], [True], len(values), "fori_loop")
    results = _core.loop(
        *count,
        *values,
        *before,
        *captures,
        bodies=graphs,
        carries=len(values) + len(written),
        length=length,
        counted=bool(count),
    )
    return body.pack(_results(results, written, len(values)))[1]


@op
def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    """`for x in xs: carry, y = f(carry, x)`, with the `y`s stacked.

    Args:
        f: function of (carry, x) that returns (next carry, y).
        init: nested tensors, the first carry.
        xs: nested tensors whose first axis is walked, or None.
        length: int, number of steps; needed without `xs`.
        reverse: bool, walk from the last step to the first.
        unroll: int or bool; changes nothing here.

    Returns:
        `(carry, ys)`: the last carry, and the `y`s with a new first axis.

    Raises:
        ValueError: if the steps differ in number or the carry changes its structure or shape.
    """
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise ValueError(f"scan: unroll must be a positive integer or a bool, received unroll={unroll}")
    init, xs = _tensors(init), _tensors(xs)
    n = _length("scan", xs, length)
    if _runs_now():
        return _scan_values(f, init, xs, n, reverse)

    def turn(carry, x):
        result = f(carry, x)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise ValueError(f"scan: f must return (carry, y), received {result!r}")
        return list(result)

    return _recorded_scan(turn, init, xs, n, reverse)


def _recorded_scan(turn, init, xs, n, reverse, count=()):
    body = _Body(turn, [init, xs], sliced=(1,))
    _same_structure("scan", init, body.outputs[0])
    carries, slices = _leaves(init), _leaves(xs)
    graphs, captures, written, before = _close([body], [True], len(carries), "scan")
    results = ()
    if body.flat or written:
        results = _core.loop(
            *count,
            *carries,
            *before,
            *slices,
            *captures,
            bodies=graphs,
            carries=len(carries) + len(written),
            slices=len(slices),
            length=[n],
            counted=bool(count),
            reverse=bool(reverse),
        )
    return tuple(body.pack(_results(results, written, len(carries))))


def counted_scan(f, init, xs, count=None, reverse=False):
    """`scan` over the first `count` steps alone; the rows of later steps are zeros.

    Args:
        f, init: as in `scan`.
        xs: nested tensors whose first axis is walked.
        count: scalar int32 tensor, at most the length of `xs`; None: all steps.
        reverse: bool, walk from step `count - 1` to the first.

    Returns:
        `(carry, ys)`.
    """
    init, xs = _tensors(init), _tensors(xs)
    return _recorded_scan(f, init, xs, _length("scan", xs, None), reverse, () if count is None else (count,))


def _length(name, xs, length):
    sizes = []
    for x in _leaves(xs):
        if x.ndim == 0:
            raise ValueError(f"{name}: xs must have a first axis to walk, received a scalar")
        sizes.append(x.dims[0])
    if length is not None:
        sizes.append(length if isinstance(length, _core.Dim) else int(length))
    if not sizes:
        raise ValueError(f"{name}: without xs a length is needed, received length=None")
    known = [s for s in sizes if isinstance(s, int)]
    if any(s != known[0] for s in known):
        raise ValueError(f"{name}: all xs must have one length, equal to `length` if it is given, received {sizes}")
    return known[0] if known else sizes[0]


def _scan_values(f, init, xs, n, reverse):
    from maas import ops

    # Where nobody can ask for gradients, NumPy may take slices apart.
    recorded = _core.is_tracing() or _core.is_recording()
    leaves = _leaves(xs)
    arrays = leaves if recorded else [x.numpy() for x in leaves]
    carry, ys = init, []
    for i in reversed(range(n)) if reverse else range(n):
        steps = iter([ops.get_item(a, i) if recorded else _core.Tensor(a[i], x.dtype) for a, x in zip(arrays, leaves)])
        result = f(carry, tree.map_structure(lambda x: None if x is None else next(steps), xs))  # noqa: B023
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise ValueError(f"scan: f must return (carry, y), received {result!r}")
        carry, y = result
        ys.append(_tensors(y))
    if not ys:
        # No step says what a y looks like: a recording does.
        with _core.Trace():
            body = _Body(lambda c, x: list(f(c, x)), [init, xs], sliced=(1,))
        empty = [_core.Tensor(np.zeros((0, *y.shape)), y.dtype) for y in _leaves(body.outputs[1])]
        values = iter(empty)
        return carry, tree.map_structure(lambda x: None if x is None else next(values), body.outputs[1])
    if reverse:
        ys.reverse()

    def join(*y):
        if y[0] is None:
            return None
        return ops.stack(list(y)) if recorded else _core.Tensor(np.stack([v.numpy() for v in y]), y[0].dtype)

    return _tensors(carry), tree.map_structure(join, *ys)


@op
def map(f, xs):
    """`f` of every element of the first axis, stacked: `y[i] = f(xs[i])`.

    Args:
        f: function of one element (structured like `xs`) that returns nested tensors.
        xs: nested tensors with one size of their first axis.
    """
    return scan(lambda carry, x: (carry, f(x)), (), xs)[1]


@op
def vectorized_map(function, elements):
    """The same as `map`: `y[i] = function(elements[i])`.

    Args:
        function: function of one element.
        elements: nested tensors with one size of their first axis.
    """
    return map(function, elements)


@op
def associative_scan(f, elems, reverse=False, axis=0):
    """All prefixes under an associative `f`: `y[i] = f(...f(f(x[0], x[1]), x[2])..., x[i])`, in log2(n) passes.

    Args:
        f: associative function of two structures like `elems`, applied to many elements at once.
        elems: nested tensors, with one known size of `axis`.
        reverse: bool, from the last element to the first.
        axis: int.

    Reference: Blelloch, 1990, "Prefix sums and their applications".
    """
    from maas import ops

    elems = _tensors(elems)
    leaves = _leaves(elems)
    at = [axis % x.ndim if x.ndim and -x.ndim <= axis < x.ndim else None for x in leaves]
    sizes = {x.shape[a] if a is not None else None for x, a in zip(leaves, at)}
    if len(sizes) != 1 or None in sizes:
        raise ValueError(
            f"associative_scan: all elems must have one known size on axis {axis}, received shapes "
            f"{[x.shape for x in leaves]}"
        )

    def part(xs, begin, end, step=1):
        keys = [(np.s_[:],) * a + (np.s_[begin:end:step],) for a in at]
        return [ops.get_item(x, k) for x, k in zip(xs, keys)]

    def combine(a, b):
        result = f(tree.pack_sequence_as(elems, a), tree.pack_sequence_as(elems, b))
        return [as_tensor(x) for x in tree.flatten(result)]

    def prefixes(xs, n):
        if n < 2:
            return xs
        m = n // 2
        odd = prefixes(combine(part(xs, 0, 2 * m, 2), part(xs, 1, 2 * m, 2)), m)
        even = part(xs, 0, 1)
        if n > 2:
            rest = combine(part(odd, 0, (n - 1) // 2), part(xs, 2, n, 2))
            even = [ops.concatenate([a, b], axis=k) for a, b, k in zip(even, rest, at)]
        return [_interleave(ops, a, b, k, n) for a, b, k in zip(even, odd, at)]

    n = sizes.pop()
    if reverse:
        leaves = [ops.flip(x, a) for x, a in zip(leaves, at)]
    result = prefixes(leaves, n)
    if reverse:
        result = [ops.flip(x, a) for x, a in zip(result, at)]
    return tree.pack_sequence_as(elems, result)


def _interleave(ops, even, odd, axis, n):
    """even[0], odd[0], even[1], odd[1], ... along `axis`, n elements."""
    m = n // 2
    head = ops.get_item(even, (np.s_[:],) * axis + (np.s_[:m],))
    both = ops.reshape(ops.stack([head, odd], axis=axis + 1), [*odd.dims[:axis], 2 * m, *odd.dims[axis + 1 :]])
    if n % 2 == 0:
        return both
    return ops.concatenate([both, ops.get_item(even, (np.s_[:],) * axis + (np.s_[m:],))], axis=axis)

"""Graphs as text, for tests of passes."""

from maas import _core


def nodes(function, *shapes, passes="all", dtype="float32"):
    """The ops that are left after passes, one text a node such as "matmul(%0, %1, transpose_b=true)"; then the result.

    Sizes may be names; a shape may be a (shape, dtype).
    """
    with _core.Trace() as trace:
        inputs = []
        for i, s in enumerate(shapes):
            shape, kind = s if len(s) == 2 and isinstance(s[1], str) and isinstance(s[0], (list, tuple)) else (s, dtype)
            inputs.append(trace.input(list(shape), kind, f"x{i}"))
        outputs = function(*inputs)
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        lines = trace.simplified(outputs, passes).splitlines()
    return [line.split(" = ", 1)[-1].split(" :")[0] for line in lines if "= input" not in line]


def ops(function, *shapes, **options):
    """Their names, without constants."""
    found = [n.split("(")[0] for n in nodes(function, *shapes, **options) if not n.startswith(("return", "constant"))]
    return [n for n in found if not n.startswith("state")]

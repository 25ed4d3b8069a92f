"""What there is to test on a device, by name: `case:softmax:3`, `model:lstm`, `interop:dlpack`, `memory:out`."""

import functools

from tests.cuda import checks as cases
from tests.cuda.checks import Check, Skipped  # noqa: F401, workers take them from here


@functools.cache
def all_cases():
    """name -> (op, case); an op whose library was not built has none."""
    from maas import _core
    from tests.ops.case import all_ops

    names, found = set(_core.op_names()), {}
    for op in all_ops():
        if op.name not in names and op.call is None:
            continue
        for case in op.cases:
            if not case.bench:
                number = sum(1 for name in found if name.split(":")[1] == op.name)
                found[f"case:{op.name}:{number}"] = (op, case)
    return found


# Words in the names of rows that other rows of the GPU stand behind.
HARDWARE = "sm90 wgmma cluster"


def plain():
    """Cases once more for the rows behind those that use what only Hopper has: MAAS_WITHOUT_ROWS hides these."""
    ops = {"attention", "matmul", "conv", "conv_input_gradient", "conv_kernel_gradient", "lstm", "gru", "simple_rnn"}
    return [f"plain:{item}" for item, (op, _) in all_cases().items() if op.name in ops]


def label(item):
    """An item in words."""
    if item.startswith("plain:"):
        return f"{item} {all_cases()[item[6:]][1]}"
    return f"{item} {all_cases()[item][1]}" if item.startswith("case:") else item


def all_items():
    """Models and the rest first, for they take longest; then a case of every op, another of every op, and so on."""
    from tests.cuda import interop, models

    first = [*(f"model:{name}" for name in models.MODELS), *(f"interop:{name}" for name in interop.CHECKS)]
    return [*first, *sorted(all_cases(), key=lambda item: int(item.split(":")[2]))]


def alone():
    """Items that need the whole device: nothing runs beside them."""
    from tests.cuda import memory

    return [f"memory:{name}" for name in memory.CHECKS]


def checks(item):
    """(name, function of (check, device)) of an item."""
    item = item.removeprefix("plain:")
    kind, name = item.split(":")[:2]
    if kind == "case":
        return cases.checks(*all_cases()[item])
    from tests.cuda import interop, memory, models

    if kind == "model":
        return models.checks(name)
    return [(name, {"interop": interop.CHECKS, "memory": memory.CHECKS}[kind][name])]


def short_list():
    """For tools that make everything slow: of every op the smallest case with numbers in it, and one model."""
    best = {}
    for item, (op, case) in all_cases().items():
        size = sum(a.size for a in case.operands())
        if case.special or not size or op.name.startswith(("bitwise", "logical", "random")):
            continue
        kept = best.setdefault(op.name, [])
        kept.append((abs(size - 3000), item))
    chosen = [item for kept in best.values() for _, item in sorted(kept)[:2]]
    return [*chosen, "model:mlp", "model:cnn_28", "model:lstm", "model:transformer"]

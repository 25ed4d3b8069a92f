"""The table that `model.summary()` prints."""

import math
import re
import shutil

from maas import tree


def count_params(weights):
    """Number of scalars in a list of variables."""
    return sum(math.prod(w.shape) for w in weights)


def memory_size(weights):
    """Bytes of a list of variables, each counted once."""
    sizes = {"bool": 1, "bfloat16": 2}
    total = 0
    for w in {id(w): w for w in weights}.values():
        bits = re.search(r"\d+$", str(w.dtype))
        total += math.prod(w.shape) * sizes.get(str(w.dtype), int(bits[0]) // 8 if bits else 4)
    return total


def readable_size(size):
    """`1536` -> "1.50 KB"."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} PB"


def _color(text, code):
    return f"[color({code})]{text}[/]"


def _number(x):
    return _color(x, 45 if x is None else 34)


def _shape_text(layer):
    def text(shape):
        return "(" + ", ".join(_number(d) for d in shape) + ")"

    if layer._inbound_nodes:
        shapes = [text(shape) for _, shape, *_ in layer._inbound_nodes[-1]._outputs]
    elif getattr(layer, "_build_shapes_dict", None):
        try:
            out = (
                layer.output_shape
                if hasattr(layer, "output_shape")
                else layer.compute_output_shape(**layer._build_shapes_dict)
            )
        except (NotImplementedError, ValueError, TypeError, AttributeError):
            return "?"
        shapes = tree.flatten(tree.map_shape_structure(text, out))
    else:
        return "?"
    return shapes[0] if len(shapes) == 1 else "[" + ", ".join(shapes) + "]"


def _is_chain(model):
    """True if every layer feeds only the next, so that the table needs no "Connected to" column."""
    from maas.models.functional import Functional

    if not isinstance(model, Functional):
        return True
    seen = set()
    for nodes in model._nodes_by_depth.values():
        if len(nodes) > 1 or len(nodes[0].input_tensors) > 1 or nodes[0].operation in seen:
            return False
        seen.add(nodes[0].operation)
    return True


def _range(layers, layer_range):
    """First and last+1 row for a pair of names or patterns."""
    if layer_range is None:
        return 0, len(layers)
    if len(layer_range) != 2 or not all(isinstance(r, str) for r in layer_range):
        raise ValueError(f"summary: `layer_range` must be two strings, received {layer_range!r}")
    found = [[i for i, layer in enumerate(layers) if re.match(pattern, layer.name)] for pattern in layer_range]
    if not all(found):
        raise ValueError(f"summary: no layer fits `layer_range`, received {layer_range!r}")
    low, high = min(found[0]), max(found[1])
    return (low, high + 1) if low <= high else (min(found[1]), max(found[0]) + 1)


def print_summary(
    model, line_length=None, positions=None, print_fn=None, expand_nested=False, show_trainable=False, layer_range=None
):
    """Print the table; the arguments are those of `Model.summary`."""
    import rich.console
    import rich.markup
    import rich.table

    from maas.models.functional import Functional

    chain = _is_chain(model)
    layers = model._operations if isinstance(model, Functional) else model.layers
    header = ["Layer (type)", "Output Shape", "Param #"] + ([] if chain else ["Connected to"])
    align = ["left", "left", "right"] + ([] if chain else ["left"])
    width, positions = (88, positions or [0.45, 0.80, 1.0]) if chain else (108, positions or [0.3, 0.56, 0.74, 1.0])
    if show_trainable:
        width += 12
        positions = [p * 0.9 for p in positions] + [1.0]
        header.append("Trainable")
        align.append("center")
    line_length = line_length or min(width, shutil.get_terminal_size().columns - 4)
    columns, start = [], 0
    for name, side, end in zip(header, align, positions):
        size = int(end * line_length) - start
        if size < 4:
            raise ValueError(f"summary: the columns need more room, received line_length={line_length}")
        columns.append(rich.table.Column(name, justify=side, width=size))
        start += size
    table = rich.table.Table(*columns, width=line_length, show_lines=True)

    def connections(layer):
        own = [n for n in layer._inbound_nodes if any(n in nodes for nodes in model._nodes_by_depth.values())]
        links = [x._keras_history for n in own for x in n.input_tensors]
        return ", ".join(f"{op.name}[{_number(i)}][{_number(j)}]" for op, i, j in links) or "-"

    def rows(layer, level=0):
        prefix = "   " * level + "└ " if level else ""
        name, kind = rich.markup.escape(prefix + layer.name), rich.markup.escape(_class_name(layer))
        if not hasattr(layer, "built"):
            params = _number(0)
        elif not layer.built:
            params = f"{_number(0)} (unbuilt)"
        else:
            params = _number(f"{layer.count_params():,}")
        fields = [f"{name} ({_color(kind, 33)})", _shape_text(layer), params]
        if not chain:
            fields.append(connections(layer) if level == 0 else "-")
        if show_trainable:
            has = bool(getattr(layer, "weights", None))
            fields.append(
                "[bold]-[/]" if not has else f"[bold]{_color('Y', 34) if layer.trainable else _color('N', 9)}[/]"
            )
        yield fields
        if expand_nested:
            for inner in getattr(layer, "layers", None) or ():
                yield from rows(inner, level + 1)

    low, high = _range(layers, layer_range)
    for layer in layers[low:high]:
        for fields in rows(layer):
            table.add_row(*fields)

    console = rich.console.Console(
        highlight=False, **({"force_terminal": False, "color_system": None} if print_fn else {})
    )
    if print_fn:
        console.begin_capture()
    console.print(f'[bold]Model: "{rich.markup.escape(model.name)}"[/]')
    console.print(table)
    optimizer = getattr(model, "optimizer", None) if getattr(model, "compiled", False) else None
    slots = list(optimizer.variables) if optimizer is not None and getattr(optimizer, "built", False) else []
    trainable, others = model.trainable_weights, model.non_trainable_weights
    lines = [("Total", trainable + others + slots), ("Trainable", trainable), ("Non-trainable", others)]
    for name, weights in lines + ([("Optimizer", slots)] if slots else []):
        console.print(
            f"[bold] {name} params: [/]{_number(f'{count_params(weights):,}')} ({readable_size(memory_size(weights))})"
        )
    if print_fn:
        print_fn(console.end_capture())


def _class_name(operation):
    return getattr(operation, "keras_class_name", None) or type(operation).__name__

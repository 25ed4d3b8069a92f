"""The boxes and arrows of a model, and where they are drawn."""

from maas import tree


class Box:
    """One layer in a picture: a title, rows of text cells, and its place.

    Attributes:
        title: str.
        rows: list of lists of str.
        trainable: bool or None, shown as a last cell where it is not None.
        groups: tuple of the names of the nested models around it.
        x, y, width, height: its place; the origin is the upper left corner of the picture.
    """

    def __init__(self, key, title, rows, trainable, groups):
        self.key, self.title, self.rows, self.trainable, self.groups = key, title, rows, trainable, groups
        self.x = self.y = 0.0
        longest = max([len(title) * 1.1, *(sum(len(c) + 3 for c in row) for row in rows)])
        self.width, self.height = 7.2 * longest + 24, 28.0 * (1 + len(rows))


def graph_of(model, expand_nested, **options):
    """(boxes, arrows as pairs of keys) of a model.

    Args:
        model: a built model; one that is neither functional nor Sequential is a single box.
        expand_nested: bool, whether models inside are drawn as their layers.
        **options: the `show_...` arguments of `plot_model`.
    """
    boxes, edges = {}, []
    _walk(model, expand_nested, options, (), boxes, edges)
    return list(boxes.values()), list(dict.fromkeys(edges))


def _walk(model, expand, options, groups, boxes, edges):
    """Adds the boxes of a model; returns the keys that its inputs go to and its outputs come from."""
    from maas.backend import graph_map
    from maas.models.functional import Functional
    from maas.models.sequential import Sequential

    def add(operation):
        key = (str(id(operation)), *groups)
        if key not in boxes:
            boxes[key] = _box(key, operation, groups, options)
        return key

    functional = model._functional if isinstance(model, Sequential) else model
    if not isinstance(functional, Functional):
        key = add(model)
        return [key], [key]
    ends, starts = {}, {}
    hidden = set()
    if isinstance(model, Sequential) and model.layers and not groups:
        # As Keras: the input of a Sequential is no box.
        hidden = {id(op) for op in functional._operations} - {id(op) for op in model.layers}
    nodes, _ = graph_map.topological_nodes(functional._inputs, functional._outputs)
    for node in nodes:
        operation = node.operation
        if id(operation) in hidden:
            continue
        if expand and isinstance(operation, (Functional, Sequential)):
            if operation not in starts:
                inner = (*groups, operation.name)
                starts[operation], ends[operation] = _walk(operation, True, options, inner, boxes, edges)
        else:
            starts[operation] = ends[operation] = [add(operation)]
        for i, x in enumerate(node.input_tensors):
            source, _, output = x._keras_history
            if source is None or source not in ends:
                continue
            into, out = starts[operation], ends[source]
            edges.append((out[min(output, len(out) - 1)], into[min(i, len(into) - 1)]))

    def outer(tensors, table):
        return [key for x in tensors for key in table.get(x._keras_history.operation, [])]

    return outer(functional._inputs, starts), outer(functional._outputs, ends)


def _box(key, operation, groups, options):
    name, rows = type(operation).__name__, []
    if name == "FunctionOperation":
        name = operation.keras_class_name
    title = f"{operation.name} ({name})" if options["show_layer_names"] else name
    activation = getattr(operation, "activation", None)
    if options["show_layer_activations"] and activation is not None:
        rows.append([f"Activation: {getattr(activation, 'name', getattr(activation, '__name__', activation))}"])
    cells = []
    if options["show_shapes"]:
        if name != "InputLayer":
            cells.append(f"Input shape: {_about(operation, 'input', 'shape')}")
        cells.append(f"Output shape: {_about(operation, 'output', 'shape')}")
    if options["show_dtype"]:
        cells.append(f"Output dtype: {_about(operation, 'output', 'dtype')}")
    trainable = None
    if options["show_trainable"] and getattr(operation, "weights", None):
        trainable = bool(operation.trainable)
        cells.append("Trainable" if trainable else "Non-trainable")
    return Box(key, title, rows + ([cells] if cells else []), trainable, groups)


def _about(operation, which, attribute):
    try:
        value = tree.map_structure(lambda x: getattr(x, attribute), getattr(operation, which))
    except (ValueError, AttributeError):
        return "?"
    if isinstance(value, dict):
        return ", ".join(f"{k}: {v}" for k, v in value.items())
    return str(value)


def lay_out(boxes, edges, rankdir):
    """Gives every box its place, layer by layer of the longest path, and returns (width, height) of the picture.

    Reference: Sugiyama, Tagawa and Toda, 1981, "Methods for visual understanding of hierarchical system structures".
    """
    before = {b.key: [] for b in boxes}
    for source, target in edges:
        before[target].append(source)
    rank, by_key = {}, {b.key: b for b in boxes}
    for b in boxes:  # parents come first
        rank[b.key] = max((rank[k] + 1 for k in before[b.key] if k in rank), default=0)
    rows = {}
    for b in boxes:
        rows.setdefault(rank[b.key], []).append(b)
    sideways, reverse = rankdir in ("LR", "RL"), rankdir in ("BT", "RL")
    gap, margin = 40.0, 20.0

    def across(b):
        return b.height if sideways else b.width

    def along(b):
        return b.width if sideways else b.height

    middle, place, at = {}, {}, margin
    for r in sorted(rows):
        # Near the middle of their parents, and apart.
        def wish(b):
            found = [middle[k] for k in before[b.key] if k in middle]
            return sum(found) / len(found) if found else 0.0

        rows[r].sort(key=wish)
        edge = None
        for b in rows[r]:
            low = wish(b) - across(b) / 2
            low = low if edge is None else max(low, edge + gap / 2)
            middle[b.key], edge = low + across(b) / 2, low + across(b)
            place[b.key] = (low, at)
        at += max(along(b) for b in rows[r]) + gap
    left = min((low for low, _ in place.values()), default=0.0)
    length, breadth = at - gap + margin, 0.0
    for key, (low, start) in place.items():
        b = by_key[key]
        low = low - left + margin
        start = length - start - along(b) if reverse else start
        b.x, b.y = (start, low) if sideways else (low, start)
        breadth = max(breadth, low + across(b) + margin)
    return (length, breadth) if sideways else (breadth, length)


def arrow(source, target, rankdir):
    """(x0, y0, x1, y1) of an arrow from the edge of one box to the edge of another."""
    if rankdir in ("LR", "RL"):
        ends = (source.x + source.width, target.x) if rankdir == "LR" else (source.x, target.x + target.width)
        return ends[0], source.y + source.height / 2, ends[1], target.y + target.height / 2
    ends = (source.y + source.height, target.y) if rankdir == "TB" else (source.y, target.y + target.height)
    return source.x + source.width / 2, ends[0], target.x + target.width / 2, ends[1]

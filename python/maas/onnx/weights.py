"""Which initialisers are weights that training may change."""

# Inputs of ops that hold weights; -1: all of them.
_WEIGHTS = {
    "Conv": (1, 2), "ConvTranspose": (1, 2), "DeformConv": (1, 3), "Gemm": (0, 1, 2), "MatMul": (0, 1),
    "Add": (0, 1), "Sub": (0, 1), "Mul": (0, 1), "Div": (0, 1), "Einsum": (-1,), "Gather": (0,), "PRelu": (1,),
    "BatchNormalization": (1, 2), "InstanceNormalization": (1, 2), "GroupNormalization": (1, 2),
    "LayerNormalization": (1, 2), "RMSNormalization": (1,), "LSTM": (1, 2, 3, 7), "GRU": (1, 2, 3), "RNN": (1, 2, 3),
}  # fmt: skip
_MOVES = {"Transpose", "Identity", "Cast", "Unsqueeze", "Squeeze", "Reshape", "Concat", "Slice", "Split", "Expand"}
_STATISTICS = {"BatchNormalization": (3, 4)}


def trainable_names(graph):
    """dict of initialiser name to whether it is trainable, of those that become variables.

    Floating initialisers of more than one element that weighted ops read; all others are constants of the program.
    """
    nodes = list(_all_nodes(graph))
    weights, statistics = set(), set()
    for node in nodes:
        places, others = _WEIGHTS.get(node.op, ()), _STATISTICS.get(node.op, ())
        weights.update(n for i, n in enumerate(node.inputs) if i in places or -1 in places)
        statistics.update(n for i, n in enumerate(node.inputs) if i in others)
    # What weights are made of by ops that only move elements.
    for node in reversed(nodes):
        if node.op in _MOVES and weights.intersection(node.outputs):
            weights.update(node.inputs if node.op == "Concat" else node.inputs[:1])
    return {
        name: name not in statistics
        for name, value in graph.constants.items()
        if name in weights | statistics and _is_real(value) and value.size > 1
    }


def _is_real(value):
    return "float" in value.dtype and "float8" not in value.dtype


def _all_nodes(graph):
    todo = [graph]
    while todo:
        g = todo.pop()
        for node in g.nodes:
            yield node
            todo += node.graphs

"""Which initialisers are weights that training may change."""

# Inputs of ops that hold weights; -1: all of them.
_WEIGHTS = {
    "Conv": (1, 2), "ConvTranspose": (1, 2), "DeformConv": (1, 3), "Gemm": (0, 1, 2), "MatMul": (0, 1),
    "Add": (0, 1), "Sub": (0, 1), "Mul": (0, 1), "Div": (0, 1), "Einsum": (-1,), "Gather": (0,), "PRelu": (1,),
    "BatchNormalization": (1, 2), "InstanceNormalization": (1, 2), "GroupNormalization": (1, 2),
    "LayerNormalization": (1, 2), "RMSNormalization": (1,), "LSTM": (1, 2, 3, 7), "GRU": (1, 2, 3), "RNN": (1, 2, 3),
    "Transpose": (0,), "Identity": (0,), "Cast": (0,),
}  # fmt: skip
_STATISTICS = {"BatchNormalization": (3, 4)}


def trainable_names(graph):
    """dict of initialiser name to whether it is trainable, of those that become variables.

    Floating initialisers of more than one element that weighted ops read; all others are constants of the program.
    """
    found = {}
    for node in _all_nodes(graph):
        for i, name in enumerate(node.inputs):
            value = graph.constants.get(name)
            if value is None or "float" not in value.dtype or "float8" in value.dtype or value.size <= 1:
                continue
            if i in _STATISTICS.get(node.op, ()):
                found[name] = False
            elif i in _WEIGHTS.get(node.op, ()) or -1 in _WEIGHTS.get(node.op, ()):
                found.setdefault(name, True)
    return found


def _all_nodes(graph):
    todo = [graph]
    while todo:
        g = todo.pop()
        for node in g.nodes:
            yield node
            todo += node.graphs

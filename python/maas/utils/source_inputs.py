"""Where a tensor comes from."""


def get_source_inputs(tensor):
    """The input tensors that are needed to compute a KerasTensor.

    Args:
        tensor: KerasTensor.

    Returns:
        list of KerasTensors made by `Input`; the tensor itself where nothing is known about it.
    """
    found, seen, stack = [], set(), [tensor]
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        operation, index, _ = getattr(x, "_keras_history", (None, 0, 0))
        if operation is None:
            return [x]
        node = operation._inbound_nodes[index]
        if node.is_input:
            found.extend(y for y in node.outputs if not any(y is z for z in found))
        else:
            stack.extend(reversed(node.input_tensors))
    return found

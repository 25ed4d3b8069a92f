"""The graph between input and output KerasTensors: which nodes lie on the way, and in which order they run."""

from collections import defaultdict

from maas import tree


def make_node_key(operation, node_index):
    """Key of the call number `node_index` of an operation."""
    return f"{id(operation)}_ib-{node_index}"


def map_graph(inputs, outputs):
    """Walk from outputs to inputs.

    Args:
        inputs, outputs: lists of KerasTensors.

    Returns:
        `(node_keys, nodes_by_depth, operations, operations_by_depth)`. Depth 0 holds the outputs; operations come
        deepest first, and at one depth in the order in which a depth-first walk from the outputs met them.

    Raises:
        ValueError: if the graph has a cycle, is not connected to the inputs, or two operations share a name.
    """
    nodes, operation_order = topological_nodes(inputs, outputs)
    in_graph = set(nodes)
    keys = {make_node_key(n.operation, n.operation._inbound_nodes.index(n)) for n in nodes}

    node_depth, operation_depth = {}, {}
    for node in reversed(nodes):
        depth = max(node_depth.get(node, 0), operation_depth.get(node.operation, 0))
        operation_depth[node.operation] = depth
        node_depth[node] = depth
        for parent in node.parent_nodes:
            if parent in in_graph:
                node_depth[parent] = max(depth + 1, node_depth.get(parent, 0))

    # Inputs that no output reads still belong to the model.
    for tensor in inputs:
        operation, index, _ = tensor._keras_history
        if operation is not None and operation not in operation_depth:
            node = operation._inbound_nodes[index]
            if node.is_input:
                operation_depth[operation] = 0
                operation_order[operation] = -1
                node_depth[node] = 0
                keys.add(make_node_key(operation, index))

    nodes_by_depth, operations_by_depth = defaultdict(list), defaultdict(list)
    for node, depth in node_depth.items():
        nodes_by_depth[depth].append(node)
    for operation, depth in operation_depth.items():
        operations_by_depth[depth].append(operation)

    operations = []
    for depth in sorted(operations_by_depth, reverse=True):
        operations_by_depth[depth].sort(key=lambda o: operation_order[o])
        operations.extend(operations_by_depth[depth])
    _check_connected(inputs, nodes_by_depth)
    _check_unique_names(operations)
    return keys, nodes_by_depth, operations, operations_by_depth


def _check_connected(inputs, nodes_by_depth):
    known = {id(x) for x in inputs}
    done = []
    for depth in sorted(nodes_by_depth, reverse=True):
        for node in nodes_by_depth[depth]:
            for x in node.input_tensors:
                if id(x) not in known:
                    raise ValueError(
                        f"the graph is not connected: operation '{node.operation.name}' reads a tensor that does "
                        f"not come from the model's inputs; "
                        f"reached so far: {done}, received {x}"
                    )
            done.append(node.operation.name)
            if node.is_input:
                continue  # only the model's own inputs are known
            known.update(id(x) for x in node.outputs)


def _check_unique_names(operations):
    names = [o.name for o in operations]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"names of layers in a model must be unique, received '{name}' {names.count(name)} times")


def topological_nodes(inputs, outputs):
    """Nodes from inputs to outputs, parents first, and the order in which operations were met."""
    input_ids = {id(x) for x in tree.flatten(inputs)}
    finished, in_progress, ordered, operation_order = set(), set(), [], {}

    # An explicit stack in place of recursion: models deeper than Python's recursion limit exist.
    for output in tree.flatten(outputs):
        stack = [(output, None)]
        while stack:
            tensor, parents = stack.pop()
            operation, index, _ = tensor._keras_history
            if operation is None:
                continue
            node = operation._inbound_nodes[index]
            if parents is None:
                if node in finished:
                    continue
                if not node.is_input and id(tensor) in input_ids:
                    finished.add(node)
                    continue
                if node in in_progress:
                    raise ValueError(
                        f"the graph of the model has a cycle at operation '{operation.name}', received {tensor}"
                    )
                operation_order.setdefault(operation, len(operation_order))
                in_progress.add(node)
                parents = iter(() if node.is_input else node.input_tensors)
            parent = next(parents, None)
            if parent is not None:
                stack.append((tensor, parents))
                stack.append((parent, None))
            elif node not in finished:
                finished.add(node)
                in_progress.discard(node)
                ordered.append(node)
    return ordered, operation_order

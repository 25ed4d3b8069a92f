"""`clone_model`: the same architecture with new weights."""

from maas import tree
from maas.backend.keras_tensor import KerasTensor
from maas.layers.core.input_layer import Input, InputLayer


def clone_model(model, input_tensors=None, clone_function=None, call_function=None, recursive=False, **kwargs):
    """Copy of a model; weights are drawn anew, the copy is not compiled.

    Args:
        model: `Sequential` or functional model; a subclassed model is made again from its config.
        input_tensors: KerasTensor(s) to start the copy from, default new inputs.
        clone_function: callable `layer -> layer`, default `layer.from_config(layer.get_config())`.
        call_function: callable `(layer, *args, **kwargs) -> outputs` used in place of calling the layer (functional
            models).
        recursive: bool, give nested models to `clone_function` layer by layer.

    Returns:
        Model of the same class.

    Raises:
        ValueError: if an argument does not fit the kind of model.
    """
    from maas.models.functional import Functional
    from maas.models.sequential import Sequential

    if kwargs:
        raise ValueError(f"clone_model: unexpected arguments, received {sorted(kwargs)}")
    if not isinstance(model, (Sequential, Functional)):
        if clone_function is not None or input_tensors is not None:
            raise ValueError(
                f"clone_model: `clone_function` and `input_tensors` need a Sequential or functional model, "
                f"received {type(model).__name__}"
            )
        return type(model).from_config(model.get_config())

    def copy_layer(layer):
        if recursive and isinstance(layer, (Sequential, Functional)):
            return clone_model(layer, clone_function=clone_function, call_function=call_function, recursive=True)
        return (clone_function or _copy)(layer)

    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError("clone_model: `call_function` needs a functional model, received a Sequential")
        return _clone_sequential(model, input_tensors, copy_layer)
    return _clone_functional(model, input_tensors, copy_layer, call_function)


def _copy(layer):
    return type(layer).from_config(layer.get_config())


def _clone_sequential(model, input_tensors, copy_layer):
    stack = [_copy(layer) if isinstance(layer, InputLayer) else copy_layer(layer) for layer in model._stack]
    if input_tensors is not None:
        flat = tree.flatten(input_tensors)
        if len(flat) != 1 or not isinstance(flat[0], KerasTensor):
            raise ValueError(
                f"clone_model: a Sequential takes one KerasTensor as `input_tensors`, received {input_tensors!r}"
            )
        stack = [flat[0], *(layer for layer in stack if not isinstance(layer, InputLayer))]
    clone = type(model)(name=model.name, trainable=model.trainable)
    for layer in stack:
        clone.add(layer, rebuild=False)
    if clone._stack:
        clone._maybe_rebuild()
    return clone


def _clone_functional(model, input_tensors, copy_layer, call_function):
    if input_tensors is None:
        starts = [Input(batch_shape=x.shape, dtype=x.dtype, name=x._keras_history.operation.name) for x in model.inputs]
    else:
        starts = tree.flatten(input_tensors)
        if len(starts) != len(model.inputs):
            raise ValueError(
                f"clone_model: the model has {len(model.inputs)} inputs, received {len(starts)} input tensors"
            )
    copies = {}

    def run(operation, args, kwargs):
        if id(operation) not in copies:
            copies[id(operation)] = (
                copy_layer(operation) if hasattr(operation, "weights") else _copy_operation(operation)
            )
        layer = copies[id(operation)]
        return call_function(layer, *args, **kwargs) if call_function else layer(*args, **kwargs)

    outputs = model._run_through_graph(starts, run)
    inputs = tree.pack_sequence_as(model._inputs_struct, starts)
    clone = type(model)(inputs, outputs, name=model.name)
    clone.trainable = model.trainable
    for old, new in copies.items():
        source = next(op for op in model._operations if id(op) == old)
        if hasattr(source, "trainable") and new.trainable != source.trainable:
            new.trainable = source.trainable
    return clone


def _copy_operation(operation):
    from maas.backend.symbolic import FunctionOperation

    return FunctionOperation(operation.function_name, operation.settings, name=operation.name)

"""`Layer`: state and a computation, the unit that models are built from."""

import sys
import warnings

from maas import dtype_policies, missing_names, tree
from maas._core import set_autocast
from maas.backend import call_context
from maas.backend.keras_tensor import KerasTensor, any_symbolic_tensors
from maas.backend.masks import get_keras_mask, set_keras_mask
from maas.backend.node import Node
from maas.backend.operation import Operation, is_default_method
from maas.backend.standardize import is_float_dtype, standardize_dtype
from maas.layers.building import LayerBuilding, recorded_build
from maas.layers.call_spec import CallSpec, call_signature, is_tensor, shapes_for
from maas.layers.input_spec import assert_input_compatibility
from maas.layers.state import LayerState
from maas.layers.tracking import Tracker, kind_of

# Bookkeeping attributes: neither tracked nor a reason to trace again.
_BOOKKEEPING = frozenset(
    "_tracker _losses _inbound_nodes _outbound_nodes _called _build_shapes_dict _path _parent_path _building "
    "name".split()
)


_UNCHANGED = object()


class Layer(LayerState, LayerBuilding, Operation):
    """Base class of layers.

    A subclass makes its sub-layers in `__init__`, its weights in `build(input_shape)` with `add_weight`, and computes
    in `call(inputs)`.

    Args:
        activity_regularizer: regularizer of the output, added to `losses` divided by the batch size.
        trainable: bool, whether training changes the weights.
        dtype: dtype or policy of computation and weights, default the global policy.
        autocast: bool, cast floating inputs to the compute dtype.
        name: str without "/", default the class name in snake case with a running number.
        input_shape, input_dim, batch_input_shape, batch_size, input_dtype: shape of the input, for the first layer of
            a `Sequential`.

    Raises:
        ValueError: for an unknown argument or a wrong value.
    """

    def __new__(cls, *args, **kwargs):
        obj = super().__new__(cls, *args, **kwargs)
        object.__setattr__(obj, "_tracker", None)
        return obj

    def __init__(self, *, activity_regularizer=None, trainable=True, dtype=None, autocast=True, name=None, **kwargs):
        object.__setattr__(self, "_tracker", Tracker())
        self._inbound_nodes, self._losses = [], []
        Operation.__init__(self, name=name)
        self._dtype_policy = dtype_policies.get(dtype)
        if activity_regularizer is not None:
            from maas import regularizers

            activity_regularizer = regularizers.get(activity_regularizer)
        self.activity_regularizer = activity_regularizer
        self._take_input_shape(kwargs)
        if kwargs:
            hint = missing_names.near_argument(type(self), kwargs)
            raise ValueError(f"{type(self).__name__}: unrecognized keyword arguments{hint}, received {kwargs}")
        if not isinstance(trainable, bool):
            raise ValueError(f"{self._label()}: `trainable` must be a bool, received {trainable!r}")
        self._trainable = trainable
        self.autocast = autocast
        self.built = False
        self._path = self._parent_path = self._build_shapes_dict = None
        self._building = self._called = False
        self._input_spec = None
        self._supports_masking = not is_default_method(self, "compute_mask", Layer)
        self._convert_input_args = True
        self._allow_non_tensor_positional_args = False
        self._call_context_args = {"training"}
        # None unless a RematScope was ever opened, which imports the module.
        remat = sys.modules.get("maas.transforms.remat")
        self._remat_scope = remat.current_scope() if remat else None

    def _take_input_shape(self, kwargs):
        """Textbooks give the input's shape to the first layer; a `Sequential` makes an `InputLayer` of it."""
        shape = kwargs.pop("input_shape", None)
        input_dim, batch_shape = kwargs.pop("input_dim", None), kwargs.pop("batch_input_shape", None)
        input_length, batch_size = kwargs.pop("input_length", None), kwargs.pop("batch_size", None)
        if input_dim is not None:
            shape = (input_length, input_dim) if input_length is not None else (input_dim,)
        if batch_shape is not None:
            batch_size, shape = batch_shape[0], batch_shape[1:]
        if shape is None:
            return
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        warnings.warn(
            "Do not pass an `input_shape`/`input_dim` argument to a layer. With a Sequential model, prefer "
            "`Input(shape)` as the first "
            f"layer; received shape {shape}",
            stacklevel=4,
        )
        self._input_shape_arg = shape
        self._input_batch_size_arg = batch_size

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = recorded_build(cls.__dict__["build"])

    # ---- attributes

    def __setattr__(self, name, value):
        tracker = self._tracker
        if name in _BOOKKEEPING:
            object.__setattr__(self, name, value)
            return
        if tracker is None:
            if kind_of(type(value)) is not None:
                self._check_super_called()
            object.__setattr__(self, name, value)
            return
        object.__setattr__(self, name, tracker.track(value))
        tracker.touch()

    def __delattr__(self, name):
        value = getattr(self, name)
        self._tracker.untrack(value)
        self._tracker.touch()
        object.__delattr__(self, name)

    def _check_super_called(self):
        if self._tracker is None:
            raise RuntimeError(
                f"{type(self).__name__}: `super().__init__()` must be the first statement in `__init__()`, "
                f"received a layer without it"
            )

    @property
    def _version(self):
        """Raised by every attribute write that may change what a trace of the layer does."""
        return self._tracker.version

    add_metric = missing_names.NotYet()
    quantize = missing_names.NotYet()
    quantized_build = missing_names.NotYet()
    quantized_call = missing_names.NotYet()
    rematerialized_call = missing_names.NotYet()

    def _label(self):
        """How errors name the layer: `Dense 'head'`."""
        return f"{type(self).__name__} '{getattr(self, 'name', '')}'"

    @property
    def path(self):
        """Path of the layer ("model/block/dense"), None before it is built."""
        return self._path

    @property
    def input_spec(self):
        return self._input_spec

    @input_spec.setter
    def input_spec(self, value):
        self._input_spec = value

    @property
    def supports_masking(self):
        return self._supports_masking

    @supports_masking.setter
    def supports_masking(self, value):
        self._supports_masking = value

    @property
    def trainable(self):
        """Whether training changes the weights; setting it sets all sub-layers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        value = bool(value)
        self._trainable = value
        for v in self._trainable_variables:
            v.trainable = value
        for layer in self._layers:
            layer.trainable = value

    @property
    def dtype_policy(self):
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value):
        self._dtype_policy = dtype_policies.get(value)

    @property
    def dtype(self):
        """The dtype of the weights."""
        return self.variable_dtype

    @property
    def compute_dtype(self):
        return self._dtype_policy.compute_dtype

    @property
    def variable_dtype(self):
        return self._dtype_policy.variable_dtype

    @property
    def input_dtype(self):
        """The dtype floating inputs are cast to."""
        return self.compute_dtype

    @property
    def quantization_mode(self):
        return self._dtype_policy.quantization_mode

    # ---- call

    def call(self, *args, **kwargs):
        raise NotImplementedError(f"{self._label()}: the class does not implement `call()`")

    def _assert_input_compatibility(self, first):
        if self.input_spec:
            assert_input_compatibility(self.input_spec, first, self._label())

    def __call__(self, *args, **kwargs):
        """Run the layer.

        On KerasTensors the call becomes a node of a functional graph; on arrays and tensors it runs (or is traced).
        """
        self._check_super_called()
        self._called = True
        call_context.note(self)
        original = (args, kwargs)
        simple = (
            self._convert_input_args
            and not kwargs
            and len(args) == 1
            and is_tensor(args[0])
            and standardize_dtype(args[0].dtype) == self.input_dtype
        )
        if self._convert_input_args and not simple:
            args, kwargs = tree.map_structure(self._convert, args), tree.map_structure(self._convert, kwargs)
        if not self._allow_non_tensor_positional_args:
            for x in tree.flatten(args):
                if x is not None and not is_tensor(x):
                    raise ValueError(
                        f"{self._label()}: only tensors may be passed as positional arguments, received {x!r}"
                    )
        spec = CallSpec(self, call_signature(type(self).call), self._call_context_args, args, kwargs)
        self._assert_input_compatibility(spec.first)
        context, opened = call_context.enter(self)
        try:
            if opened:
                self._clear_losses()
            with self._open_name_scope():
                self._maybe_build(spec)
                outer, restore = dict(context.values), _UNCHANGED
                try:
                    self._fill_context_arguments(spec, context, kwargs)
                    self._fill_masks(spec, kwargs)
                    previous_mask = kwargs.get("mask")
                    if previous_mask is None:
                        previous_mask = tree.map_structure(get_keras_mask, spec.first)
                    restore = self._enter_autocast()
                    if any_symbolic_tensors(args, kwargs):
                        outputs = self.symbolic_call(*args, **kwargs)
                    else:
                        scope = self._remat_scope
                        if scope is None:
                            outputs = self.call(*args, **kwargs)
                        else:
                            from maas.transforms.remat import call_in_scope

                            outputs = call_in_scope(scope, self, args, kwargs)
                        self._add_activity_losses(outputs)
                finally:
                    if restore is not _UNCHANGED:
                        set_autocast(restore)
                    context.values = outer
            self.built = self.built or True
            self._pass_mask_on(spec.first, outputs, previous_mask)
        finally:
            if opened:
                call_context.leave()
        if any_symbolic_tensors(*original):
            # Files of Keras hold the masks and `training` it filled in where no argument had to be converted.
            Node(self, original[0], kwargs if simple or not self._convert_input_args else original[1], outputs)
        return outputs

    def _enter_autocast(self):
        """Lets variables be read in the compute dtype; returns what to set afterwards."""
        outer = set_autocast(None)
        compute = self.compute_dtype
        if outer is None:
            if compute != self.variable_dtype:
                set_autocast(compute)
        elif self.autocast and is_float_dtype(compute):
            # Also for a plain policy, which has its own dtype inside a layer of mixed precision.
            set_autocast(compute)
        return outer

    def symbolic_call(self, *args, **kwargs):
        # The node is made by __call__, from the arguments as the user gave them.
        return self.compute_output_spec(*args, **kwargs)

    def _convert(self, x):
        y = self._dtype_policy.convert_input(x, self.autocast, self.input_dtype)
        if y is not x:
            mask = get_keras_mask(x)
            if mask is not None:
                set_keras_mask(y, mask)
        return y

    def _fill_context_arguments(self, spec, context, kwargs):
        """`training` and its like: what the caller gave, else what an outer call has, else the default of `call`."""
        for name in self._call_context_args:
            value = spec.user_arguments.get(name)
            if value is None:
                value = context.values.get(name)
            if value is None:
                value = spec.arguments.get(name)
            context.values[name] = value
            if name in spec.arguments:
                if value is not None:
                    kwargs[name] = value
            else:
                kwargs.pop(name, None)

    def _fill_masks(self, spec, kwargs):
        if len(spec.tensors) == 1:
            if "mask" in spec.arguments and spec.arguments["mask"] is None:
                kwargs["mask"] = tree.map_structure(get_keras_mask, next(iter(spec.tensors.values())))
        else:
            for name, value in spec.tensors.items():
                if f"{name}_mask" in spec.arguments and spec.arguments[f"{name}_mask"] is None:
                    kwargs[f"{name}_mask"] = tree.map_structure(get_keras_mask, value)

    def _add_activity_losses(self, outputs):
        if self.activity_regularizer is None:
            return
        from maas import ops

        for x in tree.flatten(outputs):
            if is_tensor(x):
                loss = self.activity_regularizer(x)
                if len(x.shape) > 0:
                    # The batch size as a tensor, also where it is known only when the program runs.
                    batch = ops.sum(ops.ones(ops.shape(x)[:1], dtype=loss.dtype))
                    loss = ops.divide(loss, ops.maximum(batch, 1.0))
                self.add_loss(loss)

    def compute_mask(self, inputs, previous_mask):
        """Mask of the outputs; by default the mask of the inputs."""
        return previous_mask

    def _pass_mask_on(self, inputs, outputs, previous_mask):
        if not self.supports_masking:
            if any(m is not None for m in tree.flatten(previous_mask)):
                warnings.warn(
                    f"{self._label()} was passed an input with a mask attached to it, but does not support "
                    f"masking: layers after it will not "
                    "see the mask",
                    stacklevel=3,
                )
            return
        flat = tree.flatten(outputs)
        if all(get_keras_mask(x) is not None for x in flat):
            return
        masks = self.compute_mask(inputs, previous_mask)
        if masks is None:
            return
        for x, mask in zip(flat, tree.flatten(masks)):
            if mask is not None and get_keras_mask(x) is None:
                set_keras_mask(x, mask)

    def compute_output_shape(self, *args, **kwargs):
        """Shape of the output for the shape(s) of the input(s)."""
        raise NotImplementedError(
            f"{self._label()}: the class does not implement `compute_output_shape(self, input_shape)`"
        )

    def compute_output_spec(self, *args, **kwargs):
        if is_default_method(self, "compute_output_shape", Layer):
            return super().compute_output_spec(*args, **kwargs)
        spec = CallSpec(self, call_signature(type(self).call), self._call_context_args, args, dict(kwargs))
        shape = self.compute_output_shape(
            **shapes_for(self._label(), type(self).compute_output_shape, "compute_output_shape", spec)
        )
        if isinstance(shape, list) and tree.is_shape(shape):
            shape = tuple(shape)
        try:
            return tree.map_shape_structure(lambda s: KerasTensor(s, dtype=self.compute_dtype), shape)
        except ValueError:
            raise ValueError(
                f"{self._label()}: compute_output_shape() must return a shape or a nest of shapes, received {shape!r}"
            ) from None

    def stateless_call(self, trainable_variables, non_trainable_variables, *args, return_losses=False, **kwargs):
        """Call the layer with given values of its variables, and give back what it would have written.

        Args:
            trainable_variables, non_trainable_variables: lists of values, in the order of the properties of that name.
            *args, **kwargs: of `call`.
            return_losses: bool, whether to return `losses` too.

        Returns:
            `(outputs, non_trainable_variables)`, and the list of losses with `return_losses`.

        Raises:
            ValueError: if the layer is not built, or the lists have another length.
        """
        from maas.transforms.stateless import stateless

        if not self.built:
            raise ValueError(f"{self._label()}: stateless_call() needs a built layer, received one without weights")
        own = (self.trainable_variables, self.non_trainable_variables)

        def run(*args, **kwargs):
            outputs = self(*args, **kwargs)
            return (outputs, list(self.losses)) if return_losses else outputs

        given = (trainable_variables, non_trainable_variables)
        name = f"{self._label()}.stateless_call"
        outputs, (_, state) = stateless(self, name, run, own, given, args, kwargs, options=(return_losses,))
        return (outputs[0], state, outputs[1]) if return_losses else (outputs, state)

    def _register_call_context_args(self, *names):
        """Hand the arguments `names` down to sub-layers, as `training` is."""
        if self._called:
            raise RuntimeError(
                f"{self._label()}: call-context arguments must be registered before the first call, received {names}"
            )
        self._call_context_args = set(self._call_context_args) | set(names)

    # ---- config

    def get_config(self):
        config = {"trainable": self.trainable, "dtype": dtype_policies.serialize(self.dtype_policy)}
        if self.activity_regularizer is not None:
            from maas import regularizers

            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if is_default_method(self, "get_config", Layer, Operation) and type(self).__init__ is not Layer.__init__:
            from maas.backend.operation import auto_config

            return {"name": self.name, **config, **auto_config(self, without=("dtype",))}
        return {"name": self.name, **config}

    def __reduce__(self):
        from maas.saving.pickling import reduce_layer

        return reduce_layer(self)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    __str__ = __repr__

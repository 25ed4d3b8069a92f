"""`Layer`: state and a computation, the unit that models are built from."""

import functools
import warnings

from maas import dtype_policies, tree
from maas.backend import call_context
from maas.backend.keras_tensor import KerasTensor, any_symbolic_tensors
from maas.backend.masks import get_keras_mask, set_keras_mask
from maas.backend.naming import current_path, name_scope
from maas.backend.node import Node
from maas.backend.operation import Operation, is_default_method
from maas.backend.shape_inference import compute_output_spec
from maas.backend.standardize import standardize_dtype, standardize_shape
from maas.layers.call_spec import CallSpec, call_signature, is_tensor, shapes_for
from maas.layers.input_spec import assert_input_compatibility
from maas.layers.state import LayerState
from maas.layers.tracking import Tracker, kind_of
from maas.saving.load_budget import count_weight

# Bookkeeping attributes: neither tracked nor a reason to trace again.
_BOOKKEEPING = frozenset("_tracker _losses _inbound_nodes _outbound_nodes _called _build_shapes_dict _path _parent_path _building name".split())


class Layer(LayerState, Operation):
    """Base class of layers.

    A subclass makes its sub-layers in `__init__`, its weights in `build(input_shape)` with `add_weight`, and computes in `call(inputs)`.

    Args:
        activity_regularizer: regularizer of the output, added to `losses` divided by the batch size.
        trainable: bool, whether training changes the weights.
        dtype: dtype or policy of computation and weights, default the global policy.
        autocast: bool, cast floating inputs to the compute dtype.
        name: str without "/", default the class name in snake case with a running number.
        input_shape, input_dim, batch_input_shape, batch_size, input_dtype: shape of the input, for the first layer of a `Sequential`.

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
            raise ValueError(f"{type(self).__name__}: unrecognized keyword arguments, received {kwargs}")
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
            "Do not pass an `input_shape`/`input_dim` argument to a layer. With a Sequential model, prefer `Input(shape)` as the first "
            f"layer; received shape {shape}",
            stacklevel=4,
        )
        self._input_shape_arg = shape
        self._input_batch_size_arg = batch_size

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _recorded_build(cls.__dict__["build"])

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
                f"{type(self).__name__}: `super().__init__()` must be the first statement in `__init__()`, received a layer without it"
            )

    @property
    def _version(self):
        """Raised by every attribute write that may change what a trace of the layer does."""
        return self._tracker.version

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

    # ---- weights and build

    def add_weight(
        self, shape=None, initializer=None, dtype=None, trainable=True, autocast=True, regularizer=None, constraint=None, aggregation="none",
        name=None,
    ):  # fmt: skip
        """Make a variable of the layer.

        Args:
            shape: tuple of int, default () (a scalar).
            initializer: initializer, its name, or a callable `(shape, dtype)`; default glorot_uniform for floats and zeros for the rest.
            dtype: str, default the layer's variable dtype.
            trainable: bool, whether training changes it.
            regularizer: penalty added to `losses`.
            constraint: function applied after each update.
            name: str without "/".

        Returns:
            The `Variable`.

        Raises:
            ValueError: for a shape with unknown sizes or a wrong argument.
        """
        from maas import constraints, initializers, regularizers
        from maas.backend.variable import Variable

        self._check_super_called()
        if isinstance(shape, str):
            raise ValueError(f"{self._label()}: add_weight() takes `name` as a keyword argument, received {shape!r} as the shape")
        shape = standardize_shape(() if shape is None else shape, f"{self._label()}: add_weight()")
        if None in shape:
            raise ValueError(f"{self._label()}: the sizes of weight '{name}' must all be known, received shape {shape}")
        dtype = self.variable_dtype if dtype is None else standardize_dtype(dtype)
        if initializer is None:
            initializer = "glorot_uniform" if "float" in dtype else "zeros"
        count_weight(shape, dtype, self._label())
        value = initializers.initial_value(initializers.get(initializer), shape, dtype)
        with name_scope(self.name, caller=self):
            variable = Variable(value, dtype=dtype, trainable=trainable, name=name)
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        self._track_variable(variable)
        return variable

    add_variable = add_weight

    def _track_variable(self, variable):
        self._tracker.add("variable", variable)
        if not self.trainable:
            variable.trainable = False

    def build(self, input_shape):
        """Make the weights; subclasses override it. Called once, with the shape of the first input."""
        self._check_super_called()
        if any(not layer.built for layer in self._layers) and type(self).build is Layer.build:
            warnings.warn(
                f"{self._label()}: build() was called, but the class does not define it and some of its sub-layers are not built: "
                f"{[layer.name for layer in self._layers if not layer.built]}",
                stacklevel=2,
            )
        self.built = True

    build._is_default = True

    def _build_at_init(self):
        """Mark a layer without weights as built, unless a subclass has a build() of its own."""
        if is_default_method(self, "build", Layer):
            self.built = True
            self._lock_state()

    def _lock_state(self):
        self._tracker.locked = True

    @property
    def _call_has_training_arg(self):
        return "training" in call_signature(type(self).call).parameters

    @property
    def _call_has_mask_arg(self):
        return "mask" in call_signature(type(self).call).parameters

    def get_build_config(self):
        """What `build_from_config` needs to make the weights again."""
        shapes = self._build_shapes_dict
        if shapes is None:
            return None
        if len(shapes) == 1:
            return {"input_shape": next(iter(shapes.values()))}
        return {"shapes_dict": dict(shapes)}

    def build_from_config(self, config):
        """Make the weights as `get_build_config` recorded."""
        if config and "input_shape" in config:
            self.build(_tuples(config["input_shape"]))
        elif config and "shapes_dict" in config:
            self.build(**{k: _tuples(v) for k, v in config["shapes_dict"].items()})

    def _open_name_scope(self):
        if self._parent_path is None:
            self._parent_path = current_path()
        return name_scope(self.name, caller=self)

    def _maybe_build(self, spec):
        if self.built:
            return
        if not getattr(type(self).build, "_is_default", False):
            self.build(**shapes_for(self._label(), type(self).build, "build", spec))
            # build() may have set a stricter spec.
            self._assert_input_compatibility(spec.first)
            return
        if any(not layer.built for layer in self._layers):
            # No build() of its own: running `call` on placeholders builds the sub-layers.
            compute_output_spec(self.call, (), _as_keras_tensors(spec.arguments))
        with self._open_name_scope():
            self._path = current_path()
        self._build_shapes_dict = {"input_shape": next(iter(spec.shapes().values()), None)}
        self.built = True
        self._lock_state()

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
        original = (args, kwargs)
        simple = not kwargs and len(args) == 1 and is_tensor(args[0]) and standardize_dtype(args[0].dtype) == self.input_dtype
        if self._convert_input_args and not simple:
            args, kwargs = tree.map_structure(self._convert, args), tree.map_structure(self._convert, kwargs)
        if not self._allow_non_tensor_positional_args:
            for x in tree.flatten(args):
                if x is not None and not is_tensor(x):
                    raise ValueError(f"{self._label()}: only tensors may be passed as positional arguments, received {x!r}")
        spec = CallSpec(self, call_signature(type(self).call), self._call_context_args, args, kwargs)
        self._assert_input_compatibility(spec.first)
        context, opened = call_context.enter(self)
        try:
            if opened:
                self._clear_losses()
            with self._open_name_scope():
                self._maybe_build(spec)
                outer = dict(context.values)
                try:
                    self._fill_context_arguments(spec, context, kwargs)
                    self._fill_masks(spec, kwargs)
                    previous_mask = kwargs.get("mask")
                    if previous_mask is None:
                        previous_mask = tree.map_structure(get_keras_mask, spec.first)
                    if any_symbolic_tensors(args, kwargs):
                        outputs = self.symbolic_call(*args, **kwargs)
                    else:
                        outputs = self.call(*args, **kwargs)
                        self._add_activity_losses(outputs)
                finally:
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
                    f"{self._label()} was passed an input with a mask attached to it, but does not support masking: layers after it will not "
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
        raise NotImplementedError(f"{self._label()}: the class does not implement `compute_output_shape(self, input_shape)`")

    def compute_output_spec(self, *args, **kwargs):
        if is_default_method(self, "compute_output_shape", Layer):
            return super().compute_output_spec(*args, **kwargs)
        spec = CallSpec(self, call_signature(type(self).call), self._call_context_args, args, dict(kwargs))
        shape = self.compute_output_shape(**shapes_for(self._label(), type(self).compute_output_shape, "compute_output_shape", spec))
        if isinstance(shape, list) and tree.is_shape(shape):
            shape = tuple(shape)
        try:
            return tree.map_shape_structure(lambda s: KerasTensor(s, dtype=self.compute_dtype), shape)
        except ValueError:
            raise ValueError(f"{self._label()}: compute_output_shape() must return a shape or a nest of shapes, received {shape!r}") from None

    def stateless_call(self, *args, **kwargs):
        raise NotImplementedError(f"{self._label()}: stateless_call() does not exist here; call the layer, or use a training loop of your own")

    def _register_call_context_args(self, *names):
        """Hand the arguments `names` down to sub-layers, as `training` is."""
        if self._called:
            raise RuntimeError(f"{self._label()}: call-context arguments must be registered before the first call, received {names}")
        self._call_context_args = set(self._call_context_args) | set(names)

    # ---- config

    def get_config(self):
        config = {"trainable": self.trainable, "dtype": dtype_policies.serialize(self.dtype_policy)}
        if self.activity_regularizer is not None:
            from maas import regularizers

            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if is_default_method(self, "get_config", Layer, Operation) and type(self).__init__ is not Layer.__init__:
            from maas.backend.operation import auto_config

            own = auto_config(self)
            return {"name": self.name, **config, **{k: v for k, v in own.items() if k not in ("dtype",)}}
        return {"name": self.name, **config}

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    __str__ = __repr__


def _recorded_build(build):
    """Wraps a class's build(): opens the name scope, records the shapes, marks the layer as built and locks its state."""

    @functools.wraps(build)
    def wrapper(self, *args, **kwargs):
        if self._building:  # super().build() inside build()
            return build(self, *args, **kwargs)
        self._building = True
        try:
            with self._open_name_scope():
                self._path = current_path()
                build(self, *args, **kwargs)
        finally:
            self._building = False
        self._build_shapes_dict = dict(call_signature(build).bind(*args, **kwargs).arguments)
        self.built = True
        self._lock_state()

    return wrapper


Layer.build = _recorded_build(Layer.build)


def _as_keras_tensors(arguments):
    """Concrete tensors become placeholders that shape inference understands."""

    def swap(x):
        if isinstance(x, KerasTensor) or not is_tensor(x):
            return x
        shape = tuple(x.shape)
        return KerasTensor((None, *shape[1:]) if shape else shape, dtype=standardize_dtype(x.dtype))

    return tree.map_structure(swap, arguments)


def _tuples(shape):
    """Shapes come back from JSON as lists."""
    if tree.is_shape(shape):
        return tuple(shape)
    if isinstance(shape, dict):
        return {k: _tuples(v) for k, v in shape.items()}
    return [_tuples(s) for s in shape] if isinstance(shape, list) else shape

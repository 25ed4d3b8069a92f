"""How a layer gets its weights: `add_weight`, `build`, and building from a saved config."""

import functools
import warnings

from maas import tree
from maas.backend.keras_tensor import KerasTensor
from maas.backend.naming import current_path, name_scope
from maas.backend.shape_inference import compute_output_spec
from maas.backend.standardize import standardize_dtype, standardize_shape
from maas.layers.call_spec import call_signature, is_tensor, shapes_for
from maas.saving.load_budget import count_weight


class LayerBuilding:
    """Mixin of `Layer` with everything that makes weights."""

    def add_weight(
        self, shape=None, initializer=None, dtype=None, trainable=True, autocast=True, regularizer=None,
        constraint=None, aggregation="none",
        name=None,
    ):  # fmt: skip
        """Make a variable of the layer.

        Args:
            shape: tuple of int, default () (a scalar).
            initializer: initializer, its name, or a callable `(shape, dtype)`; default glorot_uniform for floats and
                zeros for the rest.
            dtype: str, default the layer's variable dtype.
            trainable: bool, whether training changes it.
            regularizer: penalty added to `losses`.
            constraint: function applied after each update.
            autocast: bool, whether a layer of mixed precision reads it in its compute dtype.
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
            raise ValueError(
                f"{self._label()}: add_weight() takes `name` as a keyword argument, received {shape!r} as the shape"
            )
        shape = standardize_shape(() if shape is None else shape, f"{self._label()}: add_weight()")
        if None in shape:
            raise ValueError(f"{self._label()}: the sizes of weight '{name}' must all be known, received shape {shape}")
        dtype = self.variable_dtype if dtype is None else standardize_dtype(dtype)
        if initializer is None:
            initializer = "glorot_uniform" if "float" in dtype else "zeros"
        count_weight(shape, dtype, self._label())
        value = initializers.initial_value(initializers.get(initializer), shape, dtype)
        with name_scope(self.name, caller=self):
            variable = Variable(value, dtype=dtype, trainable=trainable, autocast=autocast, name=name)
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
        if any(not layer.built for layer in self._layers) and getattr(type(self).build, "_is_default", False):
            warnings.warn(
                f"{self._label()}: build() was called, but the class does not define it and some of its "
                f"sub-layers are not built: "
                f"{[layer.name for layer in self._layers if not layer.built]}",
                stacklevel=2,
            )
        self.built = True

    build._is_default = True

    def _build_at_init(self):
        """Mark a layer without weights as built, unless a subclass has a build() of its own."""
        if getattr(type(self).build, "_is_default", False):
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
            self.build(shape_tuples(config["input_shape"]))
        elif config and "shapes_dict" in config:
            self.build(**{k: shape_tuples(v) for k, v in config["shapes_dict"].items()})

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


def recorded_build(build):
    """Wraps a class's build(): opens the name scope, records the shapes, marks the layer as built and locks its
    state.
    """

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


LayerBuilding.build = recorded_build(LayerBuilding.build)


def _as_keras_tensors(arguments):
    """Concrete tensors become placeholders that shape inference understands."""

    def swap(x):
        if isinstance(x, KerasTensor) or not is_tensor(x):
            return x
        shape = tuple(x.shape)
        return KerasTensor((None, *shape[1:]) if shape else shape, dtype=standardize_dtype(x.dtype))

    return tree.map_structure(swap, arguments)


def shape_tuples(shape):
    """Shapes come back from JSON as lists."""
    if tree.is_shape(shape):
        return tuple(shape)
    if isinstance(shape, dict):
        return {k: shape_tuples(v) for k, v in shape.items()}
    return [shape_tuples(s) for s in shape] if isinstance(shape, list) else shape

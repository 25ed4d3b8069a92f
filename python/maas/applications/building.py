"""What the families share: the function of a model, the input, the top, the weights."""

import inspect
import os

from maas import layers
from maas.backend.config import image_data_format

_ARGS = {
    "include_top": (True, "bool, whether the classifier follows."),
    "weights": (
        "imagenet",
        'None (random), or the path of a weights file; "imagenet", the default of Keras, is an error.',
    ),
    "input_tensor": (None, "KerasTensor to start from, or None."),
    "input_shape": (None, "(height, width, channels), or channels first by the global setting."),
    "pooling": (None, 'without top, None, "avg" or "max".'),
    "classes": (1000, "int, number of classes."),
    "classifier_activation": ("softmax", "activation of the top."),
    "include_preprocessing": (True, "bool, whether the model starts with the scaling of values from 0 to 255."),
}
_ORDER = "include_top weights input_tensor input_shape pooling classes classifier_activation name"


def application(build, owner, name, about, reference, order=_ORDER, **fixed):
    """The function of a model: Keras's arguments, a docstring, and `build(owner, **fixed, **arguments)` in it.

    Args:
        build: function that makes the model from `owner`, the variant and the arguments.
        owner: str, the name of the function.
        name: str, default of its last argument.
        about: str, what the model is.
        reference: str.
        order: str, names of the arguments.
        fixed: the variant.

    Returns:
        function.
    """
    defaults = {k: name if k == "name" else _ARGS[k][0] for k in order.split()}
    signature = inspect.Signature(
        [inspect.Parameter(k, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=v) for k, v in defaults.items()]
    )

    def model(*args, **kwargs):
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError as e:
            raise TypeError(f"{owner}: {e}; it takes {signature}") from None
        return build(owner, **{**fixed, **defaults, **given.arguments})

    lines = [f"        {k}: {'str.' if k == 'name' else _ARGS[k][1]}" for k in defaults]
    model.__doc__ = "\n".join(
        [about, "", "    Args:", *lines, "", "    Raises:"]
        + ["        ValueError: for weights or shapes that do not fit.", f"    Reference: {reference}", "    "]
    )
    model.__name__ = model.__qualname__ = owner
    model.__module__ = build.__module__
    model.__signature__ = signature
    return model


def last_channels_only(name):
    """ValueError where images are channels first: files of this family have channels last."""
    if image_data_format() == "channels_first":
        raise ValueError(f"{name}: the model takes channels last, received image_data_format()='channels_first'")


def channel_axis():
    """Axis of the channels of a batch of images."""
    return 3 if image_data_format() == "channels_last" else 1


def norm_axis():
    """`axis` of batch normalization as the files of the MobileNets have it."""
    return 1 if image_data_format() == "channels_first" else -1


def check_weights(name, weights):
    """ValueError unless the weights are None or a file: trained weights are not part of the package."""
    if weights is None or (isinstance(weights, (str, os.PathLike)) and os.path.exists(weights)):
        return
    what = "there are no weights of 'imagenet' here" if weights == "imagenet" else "there is no such file"
    raise ValueError(
        f"{name}: {what}: `weights` must be None (random) or the path of a weights file, received weights={weights!r}"
    )


def image_shape(name, input_shape, default_size, include_top, min_size=32):
    """The shape of the images, checked.

    Raises:
        ValueError: for a shape that does not fit the model.
    """
    last = image_data_format() == "channels_last"
    if input_shape is None:
        size = default_size if include_top else None
        return (size, size, 3) if last else (3, size, size)
    shape = tuple(input_shape)
    sizes = shape[:2] if last else shape[1:]
    if len(shape) != 3 or any(n is not None and n < min_size for n in sizes):
        raise ValueError(
            f"{name}: `input_shape` must be three numbers, height and width at least {min_size}, received {input_shape}"
        )
    if include_top and None in shape:
        raise ValueError(f"{name}: include_top=True needs a known `input_shape`, received {input_shape}")
    return shape


def square_size(input_shape, known):
    """The size of square images that is one of `known`, else 224."""
    if input_shape is None:
        return 224
    rows, cols = input_shape[:2] if image_data_format() == "channels_last" else input_shape[1:]
    return rows if rows == cols and rows in known else 224


def classified(x, include_top, pooling, classes, activation, names=("avg_pool", "max_pool"), **dense):
    """The top of a model: means of every channel and a dense layer; or without top, pooling alone."""
    if not include_top:
        return pooled(x, pooling, names)
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return layers.Dense(classes, activation=activation, name="predictions", **dense)(x)


def model_input(input_tensor, shape):
    """The tensor that a model starts with."""
    if input_tensor is None:
        return layers.Input(shape=shape)
    return input_tensor if hasattr(input_tensor, "_keras_history") else layers.Input(tensor=input_tensor, shape=shape)


def pooled(x, pooling, names=(None, None)):
    """What a model without top ends with."""
    if pooling == "avg":
        return layers.GlobalAveragePooling2D(name=names[0])(x)
    return layers.GlobalMaxPooling2D(name=names[1])(x) if pooling == "max" else x


def finished(name, start, x, input_tensor, weights):
    """The model, with the weights of a file."""
    from maas.models import Model
    from maas.utils.source_inputs import get_source_inputs

    model = Model(start if input_tensor is None else get_source_inputs(input_tensor), x, name=name)
    if weights is not None:
        model.load_weights(weights)
    return model


def correct_pad(x, kernel_size):
    """Padding before a convolution of stride 2, as TensorFlow's "same" places it."""
    at = 2 if image_data_format() == "channels_first" else 1
    adjust = [1 if n is None else 1 - n % 2 for n in x.shape[at : at + 2]]
    half = kernel_size // 2
    return tuple((half - a, half) for a in adjust)


def divisible(v, divisor=8):
    """The multiple of 8 nearest to `v`, but not below 0.9 of it."""
    new = max(divisor, int(v + divisor / 2) // divisor * divisor)
    return new + divisor if new < 0.9 * v else new

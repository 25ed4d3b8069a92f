"""Package-wide settings: default float dtype, epsilon, image data format."""

_floatx, _epsilon, _image_data_format = "float32", 1e-7, "channels_last"


def floatx():
    """Default float dtype, "float32" unless `set_floatx` changed it."""
    return _floatx


def set_floatx(value):
    """Set the default float dtype.

    Raises:
        ValueError: if it is not float16, bfloat16, float32 or float64.
    """
    global _floatx
    if value not in ("float16", "bfloat16", "float32", "float64"):
        raise ValueError(f"floatx must be one of float16, bfloat16, float32, float64, received {value!r}")
    from maas import _core

    _core.set_default_float(value)
    _floatx = value


def epsilon():
    """The small number that keeps divisions and logarithms finite, 1e-7 by default."""
    return _epsilon


def set_epsilon(value):
    """Set the small number of `epsilon()`."""
    global _epsilon
    _epsilon = float(value)


def image_data_format():
    """Default layout of images, "channels_last" unless `set_image_data_format` changed it."""
    return _image_data_format


def set_image_data_format(value):
    """Set the default layout of images.

    Raises:
        ValueError: if it is neither "channels_first" nor "channels_last".
    """
    global _image_data_format
    if value not in ("channels_first", "channels_last"):
        raise ValueError(f'data format must be "channels_first" or "channels_last", received {value!r}')
    _image_data_format = value


def backend():
    """The name of the backend: always "maas"."""
    return "maas"

"""Package-wide settings: default float dtype, epsilon, image data format."""

import os

_floatx, _epsilon, _image_data_format = "float32", 1e-7, "channels_last"
_flash_attention = None
_traceback_filtering = True


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


def is_int_dtype(dtype):
    """True for an integer dtype, signed or not; bool is none."""
    from maas.backend.standardize import standardize_dtype

    return standardize_dtype(dtype).startswith(("int", "uint"))


def backend():
    """The name of the backend: always "maas"."""
    return "maas"


def _limit(name, value):
    """`value` as an int >= 1, or None for no limit."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < 1:
        raise ValueError(f"{name} must be an int >= 1, or None for no limit, received {value!r}")
    return value.__index__()


def _limit_of_environment(name):
    text = os.environ.get(name)
    if not text:
        return None
    if not text.isdecimal():
        raise ValueError(f"the environment variable {name} must be an int >= 1, received {text!r}")
    return _limit(name, int(text))


_max_epochs = _limit_of_environment("KERAS_MAX_EPOCHS")
_max_steps_per_epoch = _limit_of_environment("KERAS_MAX_STEPS_PER_EPOCH")


def max_epochs():
    """The most epochs that a call of `fit` trains, None without a limit."""
    return _max_epochs


def set_max_epochs(max_epochs):
    """Limits the epochs of every `fit`, to try a script out; also by the environment variable `KERAS_MAX_EPOCHS`.

    Args:
        max_epochs: int >= 1, or None for no limit.
    """
    global _max_epochs
    _max_epochs = _limit("set_max_epochs: max_epochs", max_epochs)


def max_steps_per_epoch():
    """The most steps of an epoch of `fit`, and of `evaluate` and `predict`; None without a limit."""
    return _max_steps_per_epoch


def set_max_steps_per_epoch(max_steps_per_epoch):
    """Limits the steps of `fit`, `evaluate` and `predict`; also by `KERAS_MAX_STEPS_PER_EPOCH`.

    Args:
        max_steps_per_epoch: int >= 1, or None for no limit.
    """
    global _max_steps_per_epoch
    _max_steps_per_epoch = _limit("set_max_steps_per_epoch: max_steps_per_epoch", max_steps_per_epoch)


def enable_flash_attention():
    """Lets attention run fused, which is the default."""
    global _flash_attention
    _flash_attention = None


def disable_flash_attention():
    """Keeps Keras's setting; the answers of fused attention are those of its composition, so nothing else changes."""
    global _flash_attention
    _flash_attention = False


def is_flash_attention_enabled():
    """False after `disable_flash_attention`, else None, as in Keras."""
    return _flash_attention


def enable_traceback_filtering():
    """Keeps Keras's setting. Errors here are raised where they are found, without frames to filter."""
    global _traceback_filtering
    _traceback_filtering = True


def disable_traceback_filtering():
    """Keeps Keras's setting; see `enable_traceback_filtering`."""
    global _traceback_filtering
    _traceback_filtering = False


def is_traceback_filtering_enabled():
    """True unless `disable_traceback_filtering` was called."""
    return _traceback_filtering


def is_nnx_enabled():
    """Always False: there is one engine, and no Flax."""
    return False

"""Sizes of the outputs of convolution and pooling."""


def window_output_size(size, window, stride, padding, dilation=1):
    """Number of windows along one axis: `ceil(n / s)` for "same" and "causal", `(n - (k - 1) d - 1) // s + 1` for
    "valid".
    """
    if size is None:
        return None
    if padding in ("same", "causal"):
        return -(-size // stride)
    return (size - (window - 1) * dilation - 1) // stride + 1


def transposed_output_size(size, kernel, stride, padding, output_padding=None, dilation=1):
    """Outputs of a transposed convolution along one axis: `n s` ("same") or `(n - 1) s + max(k, s)` ("valid"), or, with
    output_padding p, `(n - 1) s + k % 2 + p` and `(n - 1) s + k + p`; k is the window with its dilation.
    """
    if size is None:
        return None
    extent = (kernel - 1) * dilation + 1
    if output_padding is None:
        return size * stride if padding == "same" else (size - 1) * stride + max(extent, stride)
    return (size - 1) * stride + (extent % 2 if padding == "same" else extent) + output_padding


def spatial_output_shape(input_shape, windows, strides, padding, channels, data_format, owner, dilations=None):
    """Shape of the output for an input of shape (batch, *spatial, channels) or (batch, channels, *spatial).

    Raises:
        ValueError: if an axis of the output would be empty.
    """
    dilations = dilations or (1,) * len(windows)
    spatial = input_shape[1:-1] if data_format == "channels_last" else input_shape[2:]
    sizes = tuple(window_output_size(n, k, s, padding, d) for n, k, s, d in zip(spatial, windows, strides, dilations))
    if any(n is not None and n <= 0 for n in sizes):
        raise ValueError(
            f"{owner}: the output would be empty, because the window {tuple(windows)} (dilation "
            f"{tuple(dilations)}) is larger than the input, "
            f"received {tuple(input_shape)}"
        )
    return (input_shape[0], *sizes, channels) if data_format == "channels_last" else (input_shape[0], channels, *sizes)

"""Images under an affine map: where each output pixel reads, and how pixels outside are made."""

FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")
INTERPOLATIONS = ("nearest", "bilinear")


def _folded(index, size, fill_mode):
    """`index`, an int32 Tensor, brought into [0, size); "constant" clips, its caller masks."""
    from maas import ops

    if fill_mode == "wrap":
        return ops.mod(index, size)
    if fill_mode == "mirror":  # d c b | a b c d | c b a
        span = ops.maximum(2 * size - 2, 1)
        index = ops.mod(index, span)
        return ops.minimum(index, ops.abs(span - index))
    if fill_mode == "reflect":  # d c b a | a b c d | d c b a
        index = ops.mod(index, 2 * size)
        return ops.minimum(index, 2 * size - 1 - index)
    return ops.clip(index, 0, size - 1)


def sample(images, y, x, interpolation, fill_mode, fill_value):
    """Pixels of channels-last images at places between pixels.

    Args:
        images: Tensor (batch, height, width, channels), floating.
        y, x: Tensors (batch, rows, columns), float32: coordinates in pixels, 0 is the middle of the first.
        interpolation: "nearest" or "bilinear".
        fill_mode: what lies outside: "constant", "nearest", "wrap", "mirror" or "reflect".
        fill_value: number, for "constant".

    Returns:
        Tensor (batch, rows, columns, channels).
    """
    from maas import ops

    batch, height, width, channels = ops.shape(images)
    flat = ops.reshape(images, (-1, channels))
    first = ops.reshape(ops.arange(batch, dtype="int32") * (height * width), (-1, 1, 1))

    def read(row, column):
        inside = None
        if fill_mode == "constant":
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        row, column = _folded(row, height, fill_mode), _folded(column, width, fill_mode)
        found = ops.take(flat, first + row * width + column, axis=0)
        if inside is None:
            return found
        return ops.where(ops.expand_dims(inside, -1), found, ops.cast(fill_value, images.dtype))

    if interpolation == "nearest":
        # Halves away from zero.
        return read(*(ops.cast(ops.sign(v) * ops.floor(ops.abs(v) + 0.5), "int32") for v in (y, x)))
    y0, x0 = ops.floor(y), ops.floor(x)
    wy, wx = (ops.cast(ops.expand_dims(v, -1), images.dtype) for v in (y - y0, x - x0))
    y0, x0 = ops.cast(y0, "int32"), ops.cast(x0, "int32")
    upper = read(y0, x0) * ((1 - wy) * (1 - wx)) + read(y0, x0 + 1) * ((1 - wy) * wx)
    return upper + read(y0 + 1, x0) * (wy * (1 - wx)) + read(y0 + 1, x0 + 1) * (wy * wx)


def affine(images, transform, interpolation, fill_mode, fill_value=0.0, data_format="channels_last"):
    """`output[y, x] = images[b0 x + b1 y + b2, a0 x + a1 y + a2]`.

    Args:
        images: Tensor of 4 axes, floating.
        transform: Tensor (batch, 6), float32: a0, a1, a2, b0, b1, b2 of each image.
        interpolation, fill_mode, fill_value: see `sample`.
        data_format: "channels_last" or "channels_first".

    Returns:
        Tensor of the shape of `images`.
    """
    from maas import ops

    if data_format == "channels_first":
        images = ops.transpose(images, (0, 2, 3, 1))
    _, height, width, _ = ops.shape(images)
    a0, a1, a2, b0, b1, b2 = (ops.reshape(transform[:, i], (-1, 1, 1)) for i in range(6))
    y = ops.reshape(ops.cast(ops.arange(height, dtype="int32"), "float32"), (1, -1, 1))
    x = ops.reshape(ops.cast(ops.arange(width, dtype="int32"), "float32"), (1, 1, -1))
    out = sample(images, y * b1 + x * b0 + b2, y * a1 + x * a0 + a2, interpolation, fill_mode, fill_value)
    return ops.transpose(out, (0, 3, 1, 2)) if data_format == "channels_first" else out


def affine_matrix(angle, translate_x, translate_y, scale, shear_x, shear_y, height, width):
    """The six numbers of scaling, shear and rotation around the middle of an image.

    Args:
        angle, shear_x, shear_y: Tensors (batch,) or numbers, degrees.
        translate_x, translate_y: Tensors (batch,) or numbers, pixels.
        scale: Tensor (batch,) or number.
        height, width: sizes of the image in pixels.

    Returns:
        Tensor (batch, 6) for `affine`.
    """
    import math

    from maas import ops

    radian = math.pi / 180.0
    angle, shear_x, shear_y = (ops.convert_to_tensor(v, "float32") * radian for v in (angle, shear_x, shear_y))
    cx, cy = 0.5 * (ops.cast(width, "float32") - 1.0), 0.5 * (ops.cast(height, "float32") - 1.0)
    cos, sin, shear_x, shear_y = ops.cos(angle), ops.sin(angle), ops.tan(shear_x), ops.tan(shear_y)
    a0, a1 = scale * (cos + shear_x * sin), scale * (-sin + shear_x * cos)
    b0, b1 = scale * (shear_y * cos + sin), scale * (shear_y * -sin + cos)
    a2 = translate_x + cx - cx * a0 - cy * a1
    b2 = translate_y + cy - cx * b0 - cy * b1
    return ops.stack([a0, a1, a2, b0, b1, b2], axis=1)

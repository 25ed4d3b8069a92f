"""RandomGaussianBlur."""

from maas.layers.preprocessing.image_colour import _Colour


class RandomGaussianBlur(_Colour):
    """Images smoothed by a Gaussian window of drawn width, while training.

    Args:
        factor: number or (lower, upper) in [0, 1]; the probability that an image is changed is drawn from it.
        kernel_size: odd int or two, width and height of the window.
        sigma: number or (lower, upper) in [0, 1]; standard deviations along both axes are drawn from it once per batch.
        value_range: (lowest, highest) value of a pixel; the result is clipped to it.
        data_format: "channels_last" or "channels_first".
        seed: int or None.

    Raises:
        ValueError: if a factor is out of range or a size is even.
    """

    _ARGS = ("factor", "kernel_size", "sigma", "value_range", "seed")
    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self, factor=1.0, kernel_size=3, sigma=1.0, value_range=(0, 255), data_format=None, seed=None, **kwargs
    ):
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        sizes = tuple(kernel_size) if isinstance(kernel_size, (tuple, list)) else (kernel_size, kernel_size)
        if len(sizes) != 2 or not all(isinstance(n, int) and n > 0 and n % 2 for n in sizes):
            raise ValueError(
                f"{self._label()}: `kernel_size` must be an odd number or two, received kernel_size={kernel_size!r}"
            )
        self.kernel_size = sizes
        self.sigma = self._range(sigma, "sigma")
        self.value_range = self._checked_range(value_range)
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        from maas import random

        if not training:
            return None
        apply = self._drawn_by_chance(data, seed)
        source = self.generator if seed is None else seed
        sigma = random.uniform((2,), *map(float, self.sigma), seed=source, dtype=self.compute_dtype)
        return {"should_apply_blur": apply, "blur_factor": sigma + 1e-6}

    def transform_images(self, images, transformation=None, training=True):
        from maas import ops

        images = ops.cast(images, self.compute_dtype)
        if not training or transformation is None:
            return images
        sigma = ops.convert_to_tensor(transformation["blur_factor"])
        blurred = ops.image.gaussian_blur(images, self.kernel_size, (sigma[0], sigma[1]), self.data_format)
        return self._clipped(ops.where(self._per_image(transformation["should_apply_blur"], "bool"), blurred, images))

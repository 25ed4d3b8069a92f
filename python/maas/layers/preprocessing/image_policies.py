"""Layers that apply other layers: RandomColorJitter, RandAugment, AugMix."""

from maas import layers
from maas.layers.preprocessing.image_colour import _Colour
from maas.layers.preprocessing.image_layer import ImageLayer


class RandomColorJitter(_Colour):
    """Brightness, contrast, saturation and hue changed at random, in this order, while training.

    Args:
        value_range: (lowest, highest) value of a pixel.
        brightness_factor, contrast_factor, saturation_factor, hue_factor: factors of `RandomBrightness`,
            `RandomContrast`, `RandomSaturation` and `RandomHue`; None leaves that out.
        seed: int or None.
        data_format: "channels_last" or "channels_first".
    """

    _PARTS = {
        "brightness": layers.RandomBrightness,
        "contrast": layers.RandomContrast,
        "saturation": layers.RandomSaturation,
        "hue": layers.RandomHue,
    }
    _ARGS = ("value_range", *(f"{part}_factor" for part in _PARTS), "seed")

    def __init__(
        self, value_range=(0, 255), brightness_factor=None, contrast_factor=None, saturation_factor=None,
        hue_factor=None, seed=None, data_format=None, **kwargs,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = self._checked_range(value_range)
        self._seeded(seed)
        factors = brightness_factor, contrast_factor, saturation_factor, hue_factor
        for (part, make), factor in zip(self._PARTS.items(), factors):
            setattr(self, f"{part}_factor", factor)
            layer = None
            if factor is not None:
                layer = make(factor=factor, value_range=value_range, seed=seed, data_format=self.data_format)
            setattr(self, f"random_{part}", layer)

    def _parts(self):
        found = {f"random_{part}": getattr(self, f"random_{part}") for part in self._PARTS}
        return {name: layer for name, layer in found.items() if layer is not None}

    def build(self, input_shape):
        for layer in self._parts().values():
            layer.build(input_shape)

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        source = self.generator if seed is None else seed
        return {k: v.get_random_transformation(data, training, source) for k, v in self._parts().items()}

    def transform_images(self, images, transformation, training=True):
        from maas import ops

        images = ops.cast(images, self.compute_dtype)
        if training and transformation is not None:
            for name, layer in self._parts().items():
                images = layer.transform_images(images, transformation[name], training)
        return images


# name -> how to make it: of a factor and with an interpolation; with a factor; of a factor; with neither. All but those
# of `_GEOMETRY` take a value range.
_GEOMETRY = {
    "random_shear": lambda f, **k: layers.RandomShear(x_factor=f, y_factor=f, **k),
    "random_translation": lambda f, **k: layers.RandomTranslation(height_factor=f, width_factor=f, **k),
    "random_rotation": lambda f, **k: layers.RandomRotation(factor=f, **k),
}
_COLOUR = {
    "random_brightness": layers.RandomBrightness,
    "random_color_degeneration": layers.RandomColorDegeneration,
    "random_contrast": layers.RandomContrast,
    "random_sharpness": layers.RandomSharpness,
}
_VALUES = {
    "random_posterization": lambda f, **k: layers.RandomPosterization(factor=max(1, int(8 * f[1])), **k),
    "solarization": lambda f, **k: layers.Solarization(addition_factor=f, threshold_factor=f, **k),
}
_CONTRAST = {"auto_contrast": layers.AutoContrast, "equalization": layers.Equalization}


class _Policy(ImageLayer):
    """Base of layers that choose among others; the layers are attributes with Keras's names."""

    _FACTOR_BOUNDS = (0, 1)

    def _make(self, names, kwargs):
        """The layers `names`, their order is that of their numbers."""
        self._names = names
        for name in names:
            common = {"data_format": self.data_format, "dtype": kwargs.get("dtype")}
            common["bounding_box_format"] = self.bounding_box_format
            if name in _GEOMETRY:
                layer = _GEOMETRY[name](self.factor, interpolation=self.interpolation, seed=self.seed, **common)
            elif name in _CONTRAST:
                layer = _CONTRAST[name](value_range=self.value_range, **common)
            elif name in _VALUES:
                layer = _VALUES[name](self.factor, value_range=self.value_range, seed=self.seed, **common)
            else:
                layer = _COLOUR[name](factor=self.factor, value_range=self.value_range, seed=self.seed, **common)
            setattr(self, name, layer)

    def build(self, input_shape):
        for name in self._names:
            getattr(self, name).build(input_shape)

    def _drawn(self, data, seed):
        """What every layer draws; `seed` is the generator of this layer."""
        return {name: getattr(self, name).get_random_transformation(data, True, seed) for name in self._names}

    def _chosen(self, index, transforms, values, method):
        """`values` after the layer of number `index`; only that one runs."""
        from maas import ops

        def branch(name):
            return lambda x: getattr(getattr(self, name), method)(x, transforms[name])

        return ops.switch(index, [branch(name) for name in self._names], values)


class RandAugment(_Policy):
    """A number of layers, drawn for the batch, one after the other, while training.

    The layers are RandomShear, RandomTranslation, RandomRotation, RandomBrightness, RandomColorDegeneration,
    RandomContrast, RandomSharpness, RandomPosterization, Solarization, AutoContrast and Equalization.

    Args:
        value_range: (lowest, highest) value of a pixel.
        num_ops: int, how many.
        factor: number or (lower, upper) in [0, 1], their strength.
        interpolation: "nearest" or "bilinear", of those that move pixels.
        seed: int or None.
        data_format: "channels_last" or "channels_first".

    Reference: Cubuk et al., 2019, "RandAugment: practical automated data augmentation with a reduced search space",
        arXiv:1909.13719.
    """

    _ARGS = ("value_range", "num_ops", "factor", "interpolation", "seed")
    _AUGMENT_LAYERS = [*_GEOMETRY, *_COLOUR, *_VALUES, *_CONTRAST]

    def __init__(
        self, value_range=(0, 255), num_ops=2, factor=0.5, interpolation="bilinear", seed=None, data_format=None,
        **kwargs,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self.value_range, self.num_ops, self.interpolation = value_range, num_ops, interpolation
        self._set_factor(factor)
        self._seeded(seed)
        self._make(self._AUGMENT_LAYERS, kwargs)

    def get_random_transformation(self, data, training=True, seed=None):
        from maas import random

        if not training:
            return None
        source = self.generator if seed is None else seed
        chosen = random.randint((self.num_ops,), 0, len(self._names), seed=source)
        return {"transforms": self._drawn(data, source), "layer_idxes": chosen}

    def _all(self, values, transformation, method):
        from maas import ops

        chosen = ops.convert_to_tensor(transformation["layer_idxes"])
        for i in range(self.num_ops):
            values = self._chosen(chosen[i], transformation["transforms"], values, method)
        return values

    def transform_images(self, images, transformation, training=True):
        from maas import ops

        images = ops.cast(images, self.compute_dtype)
        return self._all(images, transformation, "transform_images") if training else images

    def transform_segmentation_masks(self, segmentation_masks, transformation, training=True):
        if not training:
            return segmentation_masks
        return self._all(segmentation_masks, transformation, "transform_segmentation_masks")

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        from maas import ops

        if not training:
            return bounding_boxes
        boxes = {**bounding_boxes, "boxes": ops.cast(bounding_boxes["boxes"], "float32")}
        return self._all(boxes, transformation, "transform_bounding_boxes")


class AugMix(_Policy):
    """A mixture of the images and of chains of layers that are drawn for the batch, while training.

    Args:
        value_range: (lowest, highest) value of a pixel.
        num_chains, chain_depth: ints; a place of a chain may also draw nothing.
        factor: number or (lower, upper) in [0, 1], the strength of the layers.
        alpha: positive number, of the Dirichlet weights of the chains and the Beta weight of the images themselves.
        all_ops: bool, whether layers that change colours belong to the choice, besides RandomShear, RandomTranslation,
            RandomRotation, RandomPosterization, Solarization, AutoContrast and Equalization.
        interpolation: "nearest" or "bilinear", of those that move pixels.
        seed: int or None.
        data_format: "channels_last" or "channels_first".

    Reference: Hendrycks et al., 2019, "AugMix: a simple data processing method to improve robustness and
        uncertainty", arXiv:1912.02781.
    """

    _ARGS = ("value_range", "num_chains", "chain_depth", "factor", "alpha", "all_ops", "interpolation", "seed")

    def __init__(
        self, value_range=(0, 255), num_chains=3, chain_depth=3, factor=0.3, alpha=1.0, all_ops=True,
        interpolation="bilinear", seed=None, data_format=None, **kwargs,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self.value_range, self.num_chains, self.chain_depth = value_range, num_chains, chain_depth
        self._set_factor(factor)
        self.alpha, self.all_ops, self.interpolation = alpha, all_ops, interpolation
        self._seeded(seed)
        self._make([*_GEOMETRY, *_VALUES, *_CONTRAST, *(_COLOUR if all_ops else ())], kwargs)

    def get_random_transformation(self, data, training=True, seed=None):
        from maas import ops, random

        if not training:
            return None
        source = self.generator if seed is None else seed
        weights = random.gamma((self.num_chains,), self.alpha, seed=source)
        shape = (self.num_chains, self.chain_depth)
        return {
            "chain_mixing_weights": weights / ops.sum(weights),
            "weight_sample": random.beta((), self.alpha, self.alpha, seed=source),
            "layer_idxes": random.randint(shape, 0, len(self._names) + 1, seed=source),  # the last number is nothing
            "chain_transforms": [[self._drawn(data, source) for _ in range(shape[1])] for _ in range(shape[0])],
        }

    def _all(self, values, transformation, method):
        from maas import ops

        weights, own, chosen = (
            ops.convert_to_tensor(transformation[k]) for k in ("chain_mixing_weights", "weight_sample", "layer_idxes")
        )
        mixed = None
        for i, chain in enumerate(transformation["chain_transforms"]):
            x = values
            for j, transforms in enumerate(chain):
                x = self._chosen(chosen[i, j], transforms, x, method)
            x = x * ops.cast(weights[i], x.dtype)
            mixed = x if mixed is None else mixed + x
        own = ops.cast(own, values.dtype)
        return own * values + (1 - own) * mixed

    def _chosen(self, index, transforms, values, method):
        from maas import ops

        run = super()._chosen
        return ops.cond(index < len(self._names), lambda: run(index, transforms, values, method), lambda: values)

    def transform_images(self, images, transformation, training=True):
        from maas import ops

        images = ops.cast(images, self.compute_dtype)
        if not training:
            return images
        mixed = self._all(images, transformation, "transform_images")
        return ops.clip(mixed, self.value_range[0], self.value_range[1])

    def transform_segmentation_masks(self, segmentation_masks, transformation, training=True):
        from maas import ops

        if not training:
            return segmentation_masks
        masks = ops.cast(segmentation_masks, self.compute_dtype)
        return self._all(masks, transformation, "transform_segmentation_masks")

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        return bounding_boxes

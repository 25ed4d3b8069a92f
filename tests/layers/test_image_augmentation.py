"""Layers that augment images against real Keras with the same drawn transformation; the range of what they draw."""

import keras
import numpy as np
import pytest

import maas
from maas import layers
from tests.layers import pair
from tests.layers.test_image_layers import as_numpy

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 12, 10, 3)).astype("float32")
CLAHE = "ContrastLimitedAdaptiveHistogramEqualization"
FACTORS = {"brightness_factor": 0.2, "contrast_factor": 0.3, "saturation_factor": (0.4, 0.7), "hue_factor": 0.1}
CASES = [
    ("AutoContrast", {}),
    ("AutoContrast", {"value_range": (-10, 300)}),
    ("Equalization", {}),
    ("Equalization", {"bins": 20, "value_range": (0, 300)}),
    (CLAHE, {}),
    (CLAHE, {"tile_grid_size": (5, 3), "clip_limit": 2.0, "value_range": (0, 300)}),
    (CLAHE, {"tile_grid_size": (2, 2), "clip_limit": 0}),
    ("Solarization", {"addition_factor": 0.3, "threshold_factor": (0.2, 0.8), "seed": 1}),
    ("Solarization", {"addition_factor": 0.5, "value_range": (0, 300), "seed": 1}),
    ("RandomErasing", {"seed": 2}),
    ("RandomErasing", {"factor": (0.2, 0.6), "scale": (0.1, 0.9), "fill_value": 7.0, "seed": 2}),
    ("RandomGaussianBlur", {"seed": 3}),
    ("RandomGaussianBlur", {"kernel_size": (3, 7), "sigma": (0.2, 0.9), "factor": (0.3, 0.9), "seed": 3}),
    ("RandomShear", {"x_factor": 0.4, "y_factor": (0.1, 0.3), "seed": 4}),
    ("RandomShear", {"x_factor": 0.9, "fill_mode": "constant", "fill_value": 3.0, "interpolation": "nearest"}),
    ("RandomPerspective", {"seed": 5}),
    ("RandomPerspective", {"factor": 0.5, "scale": 0.3, "fill_value": 9.0, "interpolation": "nearest", "seed": 5}),
    ("CutMix", {"seed": 6}),
    ("MixUp", {"seed": 7}),
    ("MixUp", {"alpha": 2.0, "seed": 7}),
]
# In Keras these take the channels of images that are channels first for something else.
FIRST_IS_WRONG_IN_KERAS = ("AutoContrast",)
CLAIMS = {f"layers.{name}" for name, _ in CASES} | {
    *("layers.RandomColorJitter", "layers.RandAugment", "layers.AugMix", "layers.RandomElasticTransform"),
    *("layers.MaxNumBoundingBoxes", "ops.image.elastic_transform", "ops.image.scale_and_translate"),
}


def words(case):
    return f"{case[0]}-{'-'.join(case[1]) or 'plain'}"


def same_pair(name, **kwargs):
    ours, theirs = (getattr(lib, name)(name="layer", **kwargs) for lib in (layers, keras.layers))
    config = pair.config_of(theirs, keras)
    assert pair.config_of(ours, maas) == config
    assert pair.config_of(layers.deserialize(config), maas) == config
    if name not in ("RandomShear", "RandAugment", "AugMix"):  # Keras's RandomShear refuses its own config
        assert pair.config_of(keras.layers.deserialize(pair.config_of(ours, maas)), keras) == config
    return ours, theirs


# Each layer once with channels first.
FORMATS = [(c, "channels_last") for c in CASES] + [(c, "channels_first") for c in {c[0]: c for c in CASES}.values()]


@pytest.mark.parametrize("case, data_format", FORMATS, ids=[f"{words(c)}-{f}" for c, f in FORMATS])
def test_same_transformation_same_pixels(case, data_format):
    name, kwargs = case
    ours, theirs = same_pair(name, **kwargs, data_format=data_format)
    first = data_format == "channels_first"
    images = IMAGES.transpose(0, 3, 1, 2) if first else IMAGES
    drawn = theirs.get_random_transformation(keras.ops.convert_to_tensor(images), training=True)
    found = ours.transform_images(maas.ops.convert_to_tensor(images), as_numpy(drawn))
    if first and name in FIRST_IS_WRONG_IN_KERAS:
        expected = ours.from_config({**ours.get_config(), "data_format": "channels_last"})(IMAGES)
        expected = np.moveaxis(np.asarray(expected), 3, 1)
    else:
        expected = theirs.transform_images(keras.ops.convert_to_tensor(images), drawn)
    pair.assert_outputs_close(found, expected, 128)
    assert ours(images).shape == images.shape == ours.compute_output_shape(images.shape)
    assert ours(images[0]).shape == images.shape[1:]
    still = np.asarray(ours(images, training=False))
    if name not in ("AutoContrast", CLAHE):
        np.testing.assert_array_equal(still, images)


@pytest.mark.parametrize("name, kwargs", [("MixUp", {}), ("CutMix", {})])
def test_labels_are_mixed_as_images(name, kwargs):
    labels = np.eye(3, dtype="float32")
    ours, theirs = same_pair(name, seed=3, **kwargs)
    drawn = theirs.get_random_transformation(keras.ops.convert_to_tensor(IMAGES), training=True)
    found = ours.transform_labels(maas.ops.convert_to_tensor(labels), as_numpy(drawn))
    pair.assert_outputs_close(found, theirs.transform_labels(keras.ops.convert_to_tensor(labels), drawn))
    # In a dict: an image that is 255 where its number is, so that the shares can be read from the pixels.
    x = np.zeros((3, 8, 8, 3), "float32") + 255 * np.eye(3, dtype="float32")[:, None, None]
    out = ours({"images": x, "labels": labels, "segmentation_masks": x[..., :1]})
    np.testing.assert_allclose(np.mean(out["images"], axis=(1, 2)) / 255, out["labels"], atol=0.2)
    np.testing.assert_allclose(out["segmentation_masks"][..., 0], out["images"][..., 0], atol=1e-3)


def test_mixed_boxes_are_those_of_both_images():
    boxes = {"boxes": np.arange(24, dtype="float32").reshape(3, 2, 4), "labels": np.arange(6).reshape(3, 2)}
    layer = layers.MixUp(bounding_box_format="xyxy")
    drawn = {"permutation_order": np.array([2, 0, 1]), "mix_weight": np.full(3, 0.5, "float32")}
    out = layer.transform_bounding_boxes(boxes, drawn)
    np.testing.assert_array_equal(out["boxes"], np.concatenate([boxes["boxes"], boxes["boxes"][[2, 0, 1]]], 1))
    np.testing.assert_array_equal(out["labels"], np.concatenate([boxes["labels"], boxes["labels"][[2, 0, 1]]], 1))


def elastic_noise(monkeypatch, noise):
    """Keras draws dx and dy from one key, so they are equal there; here each comes from `noise` in turn."""
    import jax

    turns = iter(noise)
    monkeypatch.setattr(jax.random, "normal", lambda key, shape, dtype: jax.numpy.asarray(next(turns), dtype))


@pytest.mark.parametrize("kwargs", [{}, {"fill_mode": "wrap", "interpolation": "nearest", "alpha": 3.0, "sigma": 1.4}])
def test_elastic_moves(monkeypatch, kwargs):
    from maas.ops.image_resampling import elastic_moves

    noise = np.random.default_rng(1).normal(size=(2, 3, 12, 10)).astype("float32")
    elastic_noise(monkeypatch, noise)
    expected = keras.ops.image.elastic_transform(IMAGES, **kwargs)
    options = {"alpha": 20.0, "sigma": 5.0, "interpolation": "bilinear", "fill_mode": "reflect", **kwargs}
    found = elastic_moves(
        IMAGES, noise[..., None], options["alpha"], options["sigma"], int(6 * options["sigma"]) // 2 + 3,
        options["interpolation"], options["fill_mode"], 0.0, None,
    )  # fmt: skip
    # Places beside the border between two pixels may fall on the other side.
    apart = np.abs(np.asarray(found) - np.asarray(expected)) > 0.05
    assert apart.mean() < (0.01 if "interpolation" in kwargs else 1e-9)


def test_elastic_transform_draws_both_directions():
    x = IMAGES
    a, b = (maas.ops.image.elastic_transform(x, seed=s).numpy() for s in (1, 1))
    assert np.array_equal(a, b) and not np.array_equal(a, x)
    assert not np.array_equal(a, maas.ops.image.elastic_transform(x, seed=2).numpy())
    # A ramp along one axis shows the moves along it: they differ between the axes.
    ramp = np.arange(32, dtype="float32")
    down, right = (
        maas.ops.image.elastic_transform(v[None, ..., None], sigma=2.0, alpha=2.0, fill_mode="nearest", seed=3)
        for v in (np.repeat(ramp[:, None], 32, 1), np.repeat(ramp[None], 32, 0))
    )
    moves = [
        np.asarray(y)[0, 8:24, 8:24, 0] - np.asarray(v) for y, v in ((down, ramp[8:24, None]), (right, ramp[8:24]))
    ]
    assert all(np.abs(m).max() > 0.1 for m in moves) and abs(np.corrcoef(*[m.ravel() for m in moves])[0, 1]) < 0.5
    layer = layers.RandomElasticTransform(factor=(1.0, 1.0), scale=(0.8, 1.0), seed=1)
    assert pair.config_of(layer, maas)["config"]["scale"] == [0.8, 1.0]
    same_pair("RandomElasticTransform", factor=0.5, fill_mode="mirror", seed=1)
    y = layer(IMAGES).numpy()
    assert not np.array_equal(y, IMAGES) and y.min() >= 0 and y.max() <= 255
    masks = (IMAGES[..., :1] > 128).astype("int32")
    out = layers.RandomElasticTransform(factor=(1.0, 1.0), interpolation="nearest", seed=1)(
        {"images": IMAGES, "segmentation_masks": masks}
    )
    assert np.array_equal(out["segmentation_masks"][..., 0], np.asarray(out["images"])[..., 0] > 128)


@pytest.mark.parametrize("method", ["linear", "cubic", "lanczos3", "lanczos5", "bilinear", "tricubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_scale_and_translate(method, antialias):
    for scale, move in (((2.0, 0.6), (-0.5, 1.0)), ((0.4, 1.3), (2.0, -3.0))):
        args = ((3, 9, 14, 3), np.array(scale, "float32"), np.array(move, "float32"), (1, 2), method, antialias)
        ours, theirs = (lib.ops.image.scale_and_translate(IMAGES, *args) for lib in (maas, keras))
        pair.assert_outputs_close(ours, theirs, 64)
    with pytest.raises(ValueError, match="method must be one of"):
        maas.ops.image.scale_and_translate(IMAGES, (3, 9, 14, 3), [1.0], [0.0], (1,), "nearest")
    with pytest.raises(ValueError, match="must keep the axes that are not in spatial_dims"):
        maas.ops.image.scale_and_translate(IMAGES, (3, 9, 14, 3), [1.0], [0.0], (1,), method)


def test_jitter_is_its_parts_in_order():
    ours, theirs = same_pair("RandomColorJitter", seed=4, **FACTORS)
    drawn = ours.get_random_transformation(IMAGES)
    x = keras.ops.convert_to_tensor(IMAGES)
    for part in ("brightness", "contrast", "saturation", "hue"):
        values = {k: keras.ops.convert_to_tensor(v.numpy()) for k, v in drawn[f"random_{part}"].items()}
        x = getattr(theirs, f"random_{part}").transform_images(x, values)
    pair.assert_outputs_close(ours.transform_images(IMAGES, drawn), x, 256)
    only = layers.RandomColorJitter(hue_factor=0.1)
    assert only.random_contrast is None and list(only.get_random_transformation(IMAGES)) == ["random_hue"]


def test_rand_augment_runs_the_drawn_layers():
    ours, theirs = same_pair("RandAugment", seed=5, num_ops=2)
    assert ours._AUGMENT_LAYERS == theirs._AUGMENT_LAYERS
    images = keras.ops.convert_to_tensor(IMAGES)
    drawn = theirs.get_random_transformation(images)
    transforms = {k: as_numpy(v) for k, v in drawn["transforms"].items()}
    # Every layer first once; blends of colours follow an equalization badly, whose steps are coarse.
    for i in range(len(ours._AUGMENT_LAYERS)):
        chosen = np.array([i, (i + 1) % 3], "int32")
        expected = theirs.transform_images(images, {**drawn, "layer_idxes": keras.ops.convert_to_tensor(chosen)})
        found = ours.transform_images(IMAGES, {"transforms": transforms, "layer_idxes": chosen})
        pair.assert_outputs_close(found, expected, 512)
    data = {"images": IMAGES, "segmentation_masks": np.ones((3, 12, 10, 1), "int32"), "labels": np.arange(3)}
    out = ours(data)
    assert out["images"].shape == IMAGES.shape and np.array_equal(out["labels"], data["labels"])


def test_augmix_blends_chains():
    ours, theirs = same_pair("AugMix", seed=6, num_chains=2, chain_depth=2, all_ops=False)
    names = ours._names
    images = keras.ops.convert_to_tensor(IMAGES)
    numbers = np.array([[0, 3], [len(names), 5]], "int32")
    drawn = ours.get_random_transformation(IMAGES)
    chains = [
        [
            {
                "layer_name": names[i],
                "transformation": {
                    k: keras.ops.convert_to_tensor(v.numpy()) if hasattr(v, "numpy") else v
                    for k, v in (step[names[i]] or {}).items()
                },
            }
            for i, step in zip(row, chain)
            if i < len(names)
        ]
        for row, chain in zip(numbers, drawn["chain_transforms"])
    ]
    given = {k: keras.ops.convert_to_tensor(drawn[k].numpy()) for k in ("chain_mixing_weights", "weight_sample")}
    expected = theirs.transform_images(images, {**given, "chain_transforms": chains})
    pair.assert_outputs_close(ours.transform_images(IMAGES, {**drawn, "layer_idxes": numbers}), expected, 512)
    assert abs(float(maas.ops.sum(drawn["chain_mixing_weights"])) - 1) < 1e-5
    seen = np.concatenate([np.ravel(ours.get_random_transformation(IMAGES)["layer_idxes"]) for _ in range(40)])
    assert set(seen) == set(range(len(names) + 1))


def test_number_of_boxes():
    boxes = {"boxes": np.arange(24, dtype="float32").reshape(2, 3, 4), "labels": np.arange(6).reshape(2, 3)}
    for number in (2, 5):
        ours, theirs = (lib.layers.MaxNumBoundingBoxes(number, fill_value=-2, bounding_box_format="xyxy")
                        for lib in (maas, keras))  # fmt: skip
        data = {"images": IMAGES[:2], "bounding_boxes": boxes}
        found = ours(data)["bounding_boxes"]
        expected = theirs.transform_bounding_boxes({k: keras.ops.convert_to_tensor(v) for k, v in boxes.items()}, None)
        for key in boxes:
            np.testing.assert_array_equal(found[key], expected[key])
        # Keras forgets what to fill with.
        assert ours.get_config() == {**theirs.get_config(), "fill_value": -2, "dtype": ours.get_config()["dtype"],
                                     "name": ours.name}  # fmt: skip
        shapes = {"images": (2, 12, 10, 3), "bounding_boxes": {k: v.shape for k, v in boxes.items()}}
        assert ours.compute_output_shape(shapes)["bounding_boxes"] == {"boxes": (2, number, 4), "labels": (2, number)}


def test_draws_lie_in_their_ranges():
    x = np.zeros((400, 8, 6, 1), "float32")

    def drawn(name, **kwargs):
        found = getattr(layers, name)(seed=1, **kwargs).get_random_transformation(x)
        return {k: np.asarray(v) for k, v in found.items() if hasattr(v, "numpy")}

    d = drawn("Solarization", addition_factor=(0.2, 0.4), threshold_factor=0.5)
    assert 51 <= d["additions"].min() < 55 and 98 < d["additions"].max() <= 102
    assert 0 <= d["thresholds"].min() < 5 and 122 < d["thresholds"].max() <= 127.5
    d = drawn("RandomShear", x_factor=0.3, y_factor=(0.1, 0.2))["shear_factor"]
    assert d.shape == (400, 2) and -0.3 <= d[:, 0].min() < -0.28 and 0.28 < d[:, 0].max() <= 0.3
    assert ((0.1 <= np.abs(d[:, 1])) & (np.abs(d[:, 1]) <= 0.2)).all() and 0.4 < (d[:, 1] > 0).mean() < 0.6
    d = drawn("RandomPerspective", factor=(0.5, 0.5), scale=0.4)
    assert 0.4 < d["apply_perspective"].mean() < 0.6
    np.testing.assert_array_equal(d["start_points"][0], [[0, 0], [5, 0], [0, 7], [5, 7]])
    move = d["end_points"][:, 3] / d["start_points"][:, 3] - 1
    assert -0.2 <= move.min() < -0.19 and 0.19 < move.max() <= 0.2
    d = drawn("RandomErasing", factor=(0.3, 0.3), scale=(0.25, 0.25), fill_value=5)
    assert 0.2 < d["apply_erasing"].mean() < 0.4 and set(np.ravel(d["fill_value"])) == {5.0}
    shares = d["batch_masks"].sum((1, 2, 3))  # half of the rows and of the columns
    assert set(shares) <= {4 * 3, 5 * 3, 4 * 4, 3 * 3, 3 * 4, 5 * 4, 4 * 2} and abs(shares.mean() - 12) < 1
    d = drawn("CutMix")
    np.testing.assert_array_equal(np.sort(d["permutation_order"]), np.arange(400))
    cut = 1 - d["mix_weight"].ravel()
    assert 0 <= cut.min() and cut.max() <= 1
    # Rectangles begin between pixels, so that the first row and column are rarely in one.
    np.testing.assert_allclose(d["batch_masks"].mean((1, 2, 3)).mean(), cut.mean(), atol=0.1)
    d = drawn("MixUp", alpha=1.0)  # uniform weights
    assert abs(d["mix_weight"].mean() - 0.5) < 0.05 and abs(d["mix_weight"].var() - 1 / 12) < 0.01
    d = drawn("RandomGaussianBlur", sigma=(0.4, 0.5), factor=(1.0, 1.0))
    assert d["should_apply_blur"].all() and (0.4 <= d["blur_factor"]).all() and (d["blur_factor"] <= 0.51).all()


def test_a_flat_image_has_no_contrast():
    flat = np.full((1, 4, 4, 1), 7.0, "float32")
    for layer in (layers.AutoContrast(), layers.Equalization()):
        np.testing.assert_array_equal(layer(flat), flat)


def test_in_a_model_that_trains_and_is_saved(tmp_path):
    steps = [
        layers.RandomShear(0.1, 0.1, seed=1), layers.RandomPerspective(scale=0.2, seed=2),
        layers.RandomElasticTransform(seed=3), layers.RandomGaussianBlur(seed=4), layers.RandomErasing(seed=5),
        layers.RandomColorJitter(brightness_factor=0.1, hue_factor=0.1, seed=6), layers.RandAugment(seed=7),
        layers.AugMix(num_chains=2, chain_depth=1, seed=8), layers.CutMix(seed=9), layers.MixUp(seed=10),
        layers.Solarization(0.1, 0.9, seed=11), layers.AutoContrast(), layers.Equalization(),
        layers.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(2, 2)), layers.Rescaling(1 / 255),
    ]  # fmt: skip
    model = maas.Sequential([layers.Input((12, 10, 3)), *steps, layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", "mse")
    x = IMAGES.repeat(3, 0)
    before = model.get_weights()[-1]
    history = model.fit(x, np.zeros((9, 2)), batch_size=4, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(history).all() and not np.array_equal(model.get_weights()[-1], before)
    expected = model.predict(x, verbose=0)
    # Keras reads the file; its RandomShear, in the policies too, refuses the config that it writes itself.
    for path in (tmp_path / "m.keras", tmp_path / "m.maas"):
        model.save(path)
        again = maas.models.load_model(path)
        np.testing.assert_allclose(again.predict(x, verbose=0), expected, rtol=1e-6)


def test_files_between_maas_and_keras(tmp_path):
    def make(lib):
        pair.fresh_names()
        nn = lib.layers
        steps = [nn.RandomPerspective(seed=1), nn.RandomColorJitter(contrast_factor=0.1, hue_factor=0.1, seed=2),
                 nn.CutMix(seed=3), nn.MixUp(seed=4), nn.RandomErasing(seed=5), nn.Solarization(seed=6),
                 nn.RandomElasticTransform(seed=7), nn.RandomGaussianBlur(seed=8)]  # fmt: skip
        return lib.Sequential([nn.Input((12, 10, 3)), *steps, nn.Flatten(), nn.Dense(2)])

    for writer, reader in ((maas, keras), (keras, maas)):
        model = make(writer)
        expected = np.asarray(model.predict(IMAGES, verbose=0))
        # Keras cannot write its own image layers as .h5.
        for name in ("m.keras", "m.weights.h5", *(["m.h5"] if writer is maas else [])):
            path = tmp_path / name
            if "weights" in name:
                model.save_weights(path)
                again = make(reader)
                again.load_weights(path)
            else:
                model.save(path)
                again = reader.models.load_model(path)
            np.testing.assert_allclose(again.predict(IMAGES, verbose=0), expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("make, text", [
    (lambda: layers.RandomShear(x_factor=1.5), r"`x_factor` must be .* in \[-1, 1\], received x_factor=1.5"),
    (lambda: layers.RandomPerspective(scale=2), r"`scale` must be a number in \[0, 1\], received scale=2"),
    (lambda: layers.RandomGaussianBlur(kernel_size=4), "`kernel_size` must be an odd number or two, received"),
    (lambda: layers.RandomErasing(fill_value=(1, 2)), "`fill_value` must be None, a number or three, received"),
    (lambda: layers.Solarization(addition_factor=-0.1), r"`addition_factor` must be .* in \[0, 1\]"),
    (lambda: layers.AutoContrast(value_range=3), "`value_range` must be two numbers, received 3"),
    *[
        (lambda name=name: getattr(layers, name)(value_range=3), "`value_range` must be two numbers, received 3")
        for name in ("RandomErasing", "RandomGaussianBlur", "RandomElasticTransform", CLAHE, "RandomColorJitter")
    ],
    (lambda: layers.MaxNumBoundingBoxes(0), "`max_number` must be a positive int"),
    (lambda: layers.CutMix()({"images": IMAGES, "bounding_boxes": {}}), "does not move bounding boxes"),
])  # fmt: skip
def test_errors(make, text):
    with pytest.raises(ValueError, match=text):
        make()

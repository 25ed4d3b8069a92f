"""Losses against real Keras: every class, reduction, weight and option; and as functions."""

import keras
import numpy as np
import pytest

from maas import losses, ops
from maas.backend.masks import set_keras_mask

# Base classes, and losses of other inputs, which test_alignment.py has.
OTHERS = ("Loss", "LossFunctionWrapper", "CTC", "CategoricalGeneralizedCrossEntropy", "Circle")
CLASSES = sorted(
    (c for c in losses.ALL_OBJECTS if isinstance(c, type) and c.__name__ not in OTHERS),
    key=lambda c: c.__name__,
)
# float32 sums in another order: a few units in the last place of the largest term.
RTOL, ATOL = 32 * np.finfo("float32").eps, 16 * np.finfo("float32").eps


def data(name, shape=(6, 4), seed=0):
    """(y_true, y_pred) that the loss of this name is made for."""
    rng = np.random.default_rng(seed)
    pred = rng.random(shape).astype("float32") + 0.05
    if "Categorical" in name or name == "KLDivergence":
        pred /= pred.sum(-1, keepdims=True)
    labels = rng.integers(0, shape[-1], shape[:-1])
    if name.startswith("SparseCategorical"):
        return labels.astype("int32"), pred
    if "Categorical" in name:
        return np.eye(shape[-1], dtype="float32")[labels], pred
    if name in ("BinaryCrossentropy", "BinaryFocalCrossentropy", "Hinge", "SquaredHinge", "Dice", "Tversky"):
        return (rng.random(shape) > 0.5).astype("float32"), np.clip(pred, 0.01, 0.99)
    return rng.random(shape).astype("float32"), pred


def assert_same(found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=RTOL, atol=ATOL)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum", "none", None, "mean_with_sample_weight"])
@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_class(cls, reduction):
    oracle = getattr(keras.losses, cls.__name__)
    y_true, y_pred = data(cls.__name__)
    whole = cls.__name__ in ("Dice", "Tversky")
    weights = [None, 0.5] if whole else [None, 0.5, np.linspace(0, 2, 6, dtype="float32")]
    for weight in weights:
        if np.ndim(weight) == 0 and reduction == "mean_with_sample_weight":
            continue  # Keras divides by one weight, not by the weights of the samples
        found = cls(reduction=reduction)(y_true, y_pred, weight)
        assert_same(found, oracle(reduction=reduction)(y_true, y_pred, weight))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_rank_three_and_weights_per_step(cls):
    y_true, y_pred = data(cls.__name__, (3, 5, 4))
    if cls.__name__ in ("Dice", "Tversky"):
        assert_same(cls(axis=(1, 2))(y_true, y_pred), getattr(keras.losses, cls.__name__)(axis=(1, 2))(y_true, y_pred))
        return
    weight = np.linspace(0, 1, 15, dtype="float32").reshape(3, 5)
    assert_same(cls()(y_true, y_pred, weight), getattr(keras.losses, cls.__name__)()(y_true, y_pred, weight))


OPTIONS = [
    ("BinaryCrossentropy", {"from_logits": True}),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}),
    ("BinaryCrossentropy", {"axis": 0}),
    ("CategoricalCrossentropy", {"from_logits": True}),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1, "from_logits": True}),
    ("SparseCategoricalCrossentropy", {"from_logits": True}),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1, "from_logits": True}),
    ("BinaryFocalCrossentropy", {"gamma": 3.0, "alpha": 0.3, "apply_class_balancing": True}),
    ("BinaryFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}),
    ("CategoricalFocalCrossentropy", {"gamma": 1.0, "alpha": 0.5}),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}),
    ("Huber", {"delta": 0.2}),
    ("CosineSimilarity", {"axis": 0}),
    ("Tversky", {"alpha": 0.3, "beta": 0.8}),
    ("Dice", {"axis": -1}),
]


@pytest.mark.parametrize("name, options", OPTIONS, ids=str)
def test_options(name, options):
    y_true, y_pred = data(name)
    if options.get("from_logits"):
        y_pred = np.random.default_rng(3).normal(size=y_pred.shape).astype("float32") * 3
    found = getattr(losses, name)(**options)
    assert_same(found(y_true, y_pred), getattr(keras.losses, name)(**options)(y_true, y_pred))
    config = found.get_config()
    for key, value in options.items():
        assert config[key] == value
    again = type(found).from_config(config)
    assert_same(again(y_true, y_pred), found(y_true, y_pred))


def test_config_keys_are_those_of_keras():
    for cls in CLASSES:
        expected = getattr(keras.losses, cls.__name__)().get_config()
        found = cls().get_config()
        assert {k: found[k] for k in expected} == expected, cls.__name__


OTHER_FUNCTIONS = (losses.circle, losses.ctc, losses.categorical_generalized_cross_entropy)
FUNCTIONS = [f for f in losses.ALL_OBJECTS if f not in OTHER_FUNCTIONS and not isinstance(f, type)]
CLAIMS = {f"losses.{x.__name__}" for x in (*CLASSES, *FUNCTIONS, losses.Circle, losses.circle)}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_function(function):
    name = "".join(part.title() for part in function.__name__.split("_"))
    y_true, y_pred = data(name)
    assert_same(function(y_true, y_pred), getattr(keras.losses, function.__name__)(y_true, y_pred))


def test_targets_lose_or_gain_a_last_axis():
    y = np.arange(5, dtype="float32")
    p = (np.arange(5, dtype="float32") * 0.5)[:, None]
    assert_same(losses.MeanSquaredError()(y, p), keras.losses.MeanSquaredError()(y, p))
    assert_same(losses.MeanSquaredError()(p, y), keras.losses.MeanSquaredError()(p, y))


def test_function_as_loss():
    wrapped = losses.LossFunctionWrapper(lambda y, p: (y - p) ** 2, name="own")
    assert_same(wrapped(np.ones((2, 3), "float32"), np.zeros((2, 3), "float32")), np.float32(1))


def test_get():
    assert losses.get(None) is None
    for name in ("mse", "MAE", "bce", "kld", "mean_squared_error", "MeanSquaredError", "huber", "log_cosh"):
        assert callable(losses.get(name))
    assert isinstance(losses.get("CategoricalCrossentropy"), losses.CategoricalCrossentropy)
    assert isinstance(losses.get(losses.Huber), losses.Huber)


@pytest.mark.parametrize("wrong", ["nonsense", 3, "acc"])
def test_unknown_loss(wrong):
    with pytest.raises(ValueError, match=f"received {wrong!r}"):
        losses.get(wrong)


def test_wrong_reduction():
    with pytest.raises(ValueError, match="received reduction='maximum'"):
        losses.MeanSquaredError(reduction="maximum")


def test_class_out_of_range_is_an_index_error():
    p = np.full((3, 4), 0.25, "float32")
    for y in ([0, 4, 1], [0, -1, 1]):
        with pytest.raises(IndexError):
            np.asarray(losses.SparseCategoricalCrossentropy()(np.array(y), p))


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "none", "mean_with_sample_weight"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", ["MeanSquaredError", "SparseCategoricalCrossentropy"])
def test_mask_of_the_predictions(name, weighted, reduction):
    y_true, y_pred = data(name, (3, 5, 4))
    mask = np.arange(15).reshape(3, 5) % 3 > 0
    weight = np.linspace(0, 1, 15, dtype="float32").reshape(3, 5) if weighted else None
    ours, theirs = ops.convert_to_tensor(y_pred), keras.ops.convert_to_tensor(y_pred)
    set_keras_mask(ours, ops.convert_to_tensor(mask))
    theirs._keras_mask = keras.ops.convert_to_tensor(mask)
    found = getattr(losses, name)(reduction=reduction)(y_true, ours, weight)
    assert_same(found, getattr(keras.losses, name)(reduction=reduction)(y_true, theirs, weight))


@pytest.mark.parametrize(
    "options",
    [{}, {"gamma": 20.0, "margin": 0.2}, {"remove_diagonal": False}, {"reduction": None}, {"reduction": "sum"}],
    ids=str,
)
def test_circle(options):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 5)).astype("float32")
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    labels = rng.integers(0, 3, 12)
    found, oracle = losses.Circle(**options), keras.losses.Circle(**options)
    for weight in (None, np.linspace(0, 2, 12, dtype="float32")):
        np.testing.assert_allclose(
            np.asarray(found(labels, x, weight)), np.asarray(oracle(labels, x, weight)), rtol=1e-5, atol=1e-5
        )
    assert found.get_config() == oracle.get_config()
    assert losses.deserialize(keras.losses.serialize(oracle)).get_config() == found.get_config()
    others, other_labels = x[:7][::-1].copy(), labels[:7][::-1].copy()
    np.testing.assert_allclose(
        np.asarray(losses.circle(labels, x, other_labels, others, remove_diagonal=False)),
        np.asarray(keras.losses.circle(labels, x, other_labels, others, remove_diagonal=False)),
        rtol=1e-5, atol=1e-5,
    )  # fmt: skip
    alone = np.asarray(losses.circle(np.arange(12), x))  # no partner of one's own label
    assert (alone == 0).all()

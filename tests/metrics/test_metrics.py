"""Metrics against real Keras: state over several batches, weights, options, configs."""

import keras
import numpy as np
import pytest

from maas import metrics

RTOL, ATOL = 64 * np.finfo("float32").eps, 16 * np.finfo("float32").eps
BASES = ("Metric", "Mean", "Sum", "MeanMetricWrapper")
CLASSES = [c.__name__ for c in metrics.ALL_OBJECTS if c.__name__ not in BASES]
CONSTRAINED = {
    "PrecisionAtRecall": {"recall": 0.4},
    "RecallAtPrecision": {"precision": 0.4},
    "SensitivityAtSpecificity": {"specificity": 0.4},
    "SpecificityAtSensitivity": {"sensitivity": 0.4},
    "IoU": {"num_classes": 4, "target_class_ids": [0, 2], "dtype": "float32"},
    "MeanIoU": {"num_classes": 4, "dtype": "float32"},
    "BinaryIoU": {"dtype": "float32"},
    "OneHotIoU": {"num_classes": 4, "target_class_ids": (1, 3), "dtype": "float32"},
    "OneHotMeanIoU": {"num_classes": 4, "dtype": "float32"},
}
CLAIMS = {f"metrics.{name}" for name in (*CLASSES, "Mean", "Sum", "MeanMetricWrapper")}
OPTIONS = [
    ("BinaryAccuracy", {"threshold": 0.3}),
    ("TopKCategoricalAccuracy", {"k": 2}),
    ("SparseTopKCategoricalAccuracy", {"k": 1}),
    ("SparseCategoricalCrossentropy", {"from_logits": True}),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}),
    ("BinaryCrossentropy", {"from_logits": True}),
    ("Precision", {"thresholds": [0.2, 0.5, 0.8]}),
    ("Precision", {"thresholds": [0.0, 0.5, 1.0]}),
    ("Precision", {"top_k": 2}),
    ("Precision", {"class_id": 1}),
    ("Recall", {"thresholds": 0.7}),
    ("Recall", {"top_k": 1, "class_id": 2}),
    ("TruePositives", {"thresholds": [0.25, 0.5, 0.75]}),
    ("FalseNegatives", {"thresholds": 0.1}),
    ("AUC", {"curve": "PR"}),
    ("AUC", {"curve": "PRGAIN"}),
    ("AUC", {"curve": "PR", "summation_method": "majoring"}),
    ("AUC", {"summation_method": "minoring", "num_thresholds": 11}),
    ("AUC", {"thresholds": [0.1, 0.3, 0.9]}),
    ("AUC", {"from_logits": True}),
    ("F1Score", {"average": "macro"}),
    ("F1Score", {"average": "micro", "threshold": 0.5}),
    ("FBetaScore", {"average": "weighted", "beta": 2.0}),
    ("R2Score", {"class_aggregation": None}),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}),
    ("R2Score", {"num_regressors": 2}),
    ("PrecisionAtRecall", {"recall": 0.7, "num_thresholds": 1}),
    ("IoU", {"num_classes": 4, "target_class_ids": [1], "ignore_class": 2, "dtype": "float32"}),
    ("MeanIoU", {"num_classes": 3, "ignore_class": 0, "dtype": "float32"}),
    ("BinaryIoU", {"target_class_ids": [1], "threshold": 0.3, "dtype": "float32"}),
    ("OneHotIoU", {"num_classes": 4, "target_class_ids": [0], "ignore_class": 1, "dtype": "float32"}),
    ("PearsonCorrelation", {"axis": 0}),
    ("ConcordanceCorrelation", {"axis": 0}),
]


def batch(name, seed, shape=(7, 4)):
    rng = np.random.default_rng(seed)
    pred = rng.random(shape).astype("float32") + 0.02
    pred /= pred.sum(-1, keepdims=True)
    labels = rng.integers(0, shape[-1], shape[:-1])
    if name.startswith("Sparse"):
        return labels.astype("int32"), pred
    if "Categorical" in name or "Score" in name and name != "R2Score":
        return np.eye(shape[-1], dtype="float32")[labels], pred
    if name in ("IoU", "MeanIoU"):  # -1 and the number of classes are no classes
        return rng.integers(-1, shape[-1] + 1, shape[:1]), rng.integers(0, shape[-1] + 1, shape[:1])
    if name == "BinaryIoU":
        return (rng.random(shape[:1]) > 0.5).astype("float32"), rng.random(shape[:1]).astype("float32")
    if "OneHot" in name:
        return np.eye(shape[-1], dtype="float32")[labels], pred
    if name == "Accuracy":
        return (rng.random(shape) > 0.5).astype("float32"), (rng.random(shape) > 0.5).astype("float32")
    if (
        name in ("R2Score", "KLDivergence")
        or "Error" in name
        or name in ("Poisson", "CosineSimilarity")
        or "Correlation" in name
    ):
        return rng.random(shape).astype("float32"), pred
    return (rng.random(shape) > 0.5).astype("float32"), np.clip(pred * 2, 0, 1)


def compare(found, oracle, name, weighted, shape=(7, 4)):
    for seed in range(3):
        y_true, y_pred = batch(name, seed, shape)
        weight = np.random.default_rng(seed + 9).random(shape[0]).astype("float32") if weighted else None
        if weighted and "Correlation" in name and found.axis == 0:
            weight = weight[: shape[1]]
        found.update_state(y_true, y_pred, sample_weight=weight)
        oracle.update_state(y_true, y_pred, sample_weight=weight)
        a, b = np.asarray(found.result()), np.asarray(oracle.result())
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=ATOL, err_msg=f"{name} after batch {seed}")


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", CLASSES)
def test_class(name, weighted):
    options = CONSTRAINED.get(name, {})
    found, oracle = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    compare(found, oracle, name, weighted)
    found.reset_state()
    oracle.reset_state()
    compare(found, oracle, name, weighted)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name, options", OPTIONS, ids=str)
def test_options(name, options, weighted):
    found = getattr(metrics, name)(**options)
    compare(found, getattr(keras.metrics, name)(**options), name, weighted)
    again = type(found).from_config(found.get_config())
    compare(again, getattr(keras.metrics, name)(**options), name, weighted)


def test_cosine_similarity_along_another_axis():
    compare(metrics.CosineSimilarity(axis=0), keras.metrics.CosineSimilarity(axis=0), "CosineSimilarity", False)


def test_multi_label_auc():
    for options in ({}, {"label_weights": [0.1, 0.2, 0.3, 0.4]}, {"num_labels": 4, "curve": "PR"}):
        a, b = metrics.AUC(multi_label=True, **options), keras.metrics.AUC(multi_label=True, **options)
        compare(a, b, "AUC", weighted=False)


@pytest.mark.parametrize(
    "name", ["SparseCategoricalAccuracy", "CategoricalAccuracy", "BinaryAccuracy", "MeanSquaredError"]
)
def test_sequences(name):
    compare(getattr(metrics, name)(), getattr(keras.metrics, name)(), name, False, shape=(3, 5, 4))
    compare(getattr(metrics, name)(), getattr(keras.metrics, name)(), name, True, shape=(3, 5, 4))


@pytest.mark.parametrize(
    "weight", [None, 2.0, np.arange(4.0), np.ones((4, 3)) * [1, 2, 3]], ids=["none", "one", "rows", "all"]
)
@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_reductions(name, weight):
    values = np.random.default_rng(0).random((4, 3)).astype("float32")
    found, oracle = getattr(metrics, name)(), getattr(keras.metrics, name)()
    for _ in range(2):
        found.update_state(values, sample_weight=weight)
        oracle.update_state(values, sample_weight=weight)
    np.testing.assert_allclose(np.asarray(found.result()), np.asarray(oracle.result()), rtol=RTOL)


def test_a_function_becomes_a_metric():
    for weighted in (False, True):
        found = metrics.MeanMetricWrapper(lambda y, p: (y - p) ** 2, name="m")
        compare(
            found, keras.metrics.MeanMetricWrapper(lambda y, p: (y - p) ** 2, name="m"), "MeanSquaredError", weighted
        )


def test_iou_counts_in_integers():
    """The confusion matrix is int32 by default; weights that are not whole lose their fraction, with a warning."""
    found, oracle = metrics.MeanIoU(3), keras.metrics.MeanIoU(3)
    for m in (found, oracle):
        m.update_state([0, 1, 2, 2], [0, 1, 1, 2], sample_weight=[1, 2, 3, 4])
    assert found.total_cm.dtype == "int32" and found.get_config()["dtype"] == oracle.get_config()["dtype"] == "int32"
    np.testing.assert_array_equal(found.total_cm.numpy(), np.asarray(oracle.total_cm))
    with pytest.warns(UserWarning, match="weights are floats"):
        found.update_state([0], [0], sample_weight=np.array([1.5], "float32"))
    with pytest.raises(ValueError, match=r"target_class_ids must be in \[0, 3\), received \[3\]"):
        metrics.IoU(3, [3])


def test_empty_mean_is_zero():
    assert float(metrics.Mean().result()) == 0.0


def test_configs_are_those_of_keras():
    for name in CLASSES:
        options = CONSTRAINED.get(name, {})
        expected = getattr(keras.metrics, name)(name="m", **options).get_config()
        found = getattr(metrics, name)(name="m", **options).get_config()
        assert {k: found.get(k, "missing") for k in expected} == expected, name


def test_directions_are_those_of_keras():
    for name in CLASSES:
        options = CONSTRAINED.get(name, {})
        expected = getattr(getattr(keras.metrics, name)(**options), "_direction", None)
        if expected is not None:
            assert getattr(metrics, name)(**options)._direction == expected, name


def test_own_metric():
    class Largest(metrics.Metric):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.largest = self.add_weight(name="largest", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            from maas import ops

            self.largest.assign(ops.maximum(self.largest, ops.max(y_pred)))

        def result(self):
            return self.largest

    m = Largest(name="largest")
    m.update_state(None, np.array([1.0, 5.0], "float32"))
    m.update_state(None, np.array([2.0], "float32"))
    assert float(np.asarray(m.result())) == 5.0
    assert len(m.variables) == 1
    m.reset_state()
    assert float(np.asarray(m.result())) == 0.0


def test_forgotten_super_init():
    class Forgot(metrics.Metric):
        def __init__(self):
            self.total = self.add_weight(name="total")

    with pytest.raises(RuntimeError, match="super"):
        Forgot()


@pytest.mark.parametrize("wrong", ["nonsense", 3])
def test_unknown_metric(wrong):
    with pytest.raises(ValueError, match=f"received {wrong!r}"):
        metrics.get(wrong)


@pytest.mark.parametrize(
    "make",
    [
        lambda: metrics.AUC(num_thresholds=1),
        lambda: metrics.AUC(curve="nonsense"),
        lambda: metrics.AUC(num_labels=3),
        lambda: metrics.Precision(thresholds=1.5),
        lambda: metrics.F1Score(average="nonsense"),
        lambda: metrics.FBetaScore(beta=-1.0),
        lambda: metrics.R2Score(class_aggregation="nonsense"),
        lambda: metrics.RecallAtPrecision(precision=2),
    ],
)
def test_wrong_options(make):
    with pytest.raises(ValueError, match="received"):
        make()

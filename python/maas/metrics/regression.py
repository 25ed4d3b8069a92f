"""Regression metrics."""

from maas import ops
from maas.losses import regression as losses
from maas.losses.loss import as_pair
from maas.metrics.metric import Metric
from maas.metrics.reduction import Mean, NamedMetric


def cosine_similarity(y_true, y_pred, axis=-1):
    """Cosine of the angle between target and prediction along `axis`: 1 is alike, -1 is opposite."""
    return -losses.cosine_similarity(y_true, y_pred, axis)


class MeanSquaredError(NamedMetric):
    """Running mean of the squared errors."""

    def __init__(self, name="mean_squared_error", dtype=None):
        super().__init__(losses.mean_squared_error, name, dtype, "down")


class MeanAbsoluteError(NamedMetric):
    """Running mean of the absolute errors."""

    def __init__(self, name="mean_absolute_error", dtype=None):
        super().__init__(losses.mean_absolute_error, name, dtype, "down")


class MeanAbsolutePercentageError(NamedMetric):
    """Running mean of the absolute errors in percent of the target."""

    def __init__(self, name="mean_absolute_percentage_error", dtype=None):
        super().__init__(losses.mean_absolute_percentage_error, name, dtype, "down")


class MeanSquaredLogarithmicError(NamedMetric):
    """Running mean of the squared differences of logarithms."""

    def __init__(self, name="mean_squared_logarithmic_error", dtype=None):
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype, "down")


class LogCoshError(NamedMetric):
    """Running mean of log(cosh(error))."""

    def __init__(self, name="logcosh", dtype=None):
        super().__init__(losses.log_cosh, name, dtype, "down")


class CosineSimilarity(NamedMetric):
    """Running mean of the cosine similarity."""

    def __init__(self, name="cosine_similarity", dtype=None, axis=-1):
        super().__init__(cosine_similarity, name, dtype, "up", axis=axis)


class RootMeanSquaredError(Mean):
    """Square root of the running mean of the squared errors."""

    _direction = "down"

    def __init__(self, name="root_mean_squared_error", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = as_pair(y_true, ops.convert_to_tensor(y_pred, dtype=self.dtype))
        super().update_state(ops.square(y_pred - y_true), sample_weight=sample_weight)

    def result(self):
        return ops.sqrt(super().result())


class R2Score(Metric):
    """Coefficient of determination: `1 - sum((y - p)^2) / sum((y - mean(y))^2)`.

    Args:
        class_aggregation: `"uniform_average"`, `"variance_weighted_average"` or None (one score per output).
        num_regressors: int, adjusts the score for this number of inputs; 0 is the plain score.
        name: str.
        dtype: the dtype of the state.
    """

    _direction = "up"

    def __init__(self, class_aggregation="uniform_average", num_regressors=0, name="r2_score", dtype=None):
        super().__init__(name=name, dtype=dtype)
        allowed = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in allowed:
            raise ValueError(f"R2Score: class_aggregation must be one of {allowed}, received {class_aggregation!r}")
        if num_regressors < 0:
            raise ValueError(f"R2Score: num_regressors must be >= 0, received {num_regressors}")
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_variable((), name="num_samples")
        self._built = False

    def _build(self, y_true_shape, y_pred_shape):
        if len(y_true_shape) != 2 or len(y_pred_shape) != 2 or y_pred_shape[-1] is None:
            raise ValueError(
                "R2Score needs y_true and y_pred of shape (batch, outputs), "
                f"received {tuple(y_true_shape)} and {tuple(y_pred_shape)}"
            )
        shape = (y_pred_shape[-1],)
        self.squared_sum = self.add_variable(shape, name="squared_sum")
        self.sum = self.add_variable(shape, name="sum")
        self.total_mse = self.add_variable(shape, name="residual")
        self.count = self.add_variable(shape, name="count")
        self._built = True

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = as_pair(y_true, ops.convert_to_tensor(y_pred, dtype=self.dtype))
        if not self._built:
            self._build(y_true.shape, y_pred.shape)
        weight = ops.ones_like(y_true)
        if sample_weight is not None:
            sample_weight = ops.cast(sample_weight, self.dtype)
            if len(sample_weight.shape) == 1:
                sample_weight = ops.expand_dims(sample_weight, axis=1)
            weight = weight * sample_weight
        self.sum.assign(self.sum + ops.sum(y_true * weight, axis=0))
        self.squared_sum.assign(self.squared_sum + ops.sum(y_true * y_true * weight, axis=0))
        self.total_mse.assign(self.total_mse + ops.sum(ops.square(y_true - y_pred) * weight, axis=0))
        self.count.assign(self.count + ops.sum(weight, axis=0))
        self.num_samples.assign(self.num_samples + ops.sum(ops.ones_like(y_true)))

    def result(self):
        mean = self.sum / self.count
        total = self.squared_sum - self.sum * mean
        score = 1.0 - self.total_mse / total
        score = ops.where(ops.isinf(score), ops.zeros_like(score), score)
        if self.class_aggregation == "uniform_average":
            score = ops.mean(score)
        elif self.class_aggregation == "variance_weighted_average":
            score = ops.sum(total * score) / ops.sum(total)
        if self.num_regressors == 0:
            return score
        left = self.num_samples - 1.0 - float(self.num_regressors)
        adjusted = 1.0 - (1.0 - score) * (self.num_samples - 1.0) / ops.where(left > 0.0, left, ops.ones_like(left))
        return ops.where(left > 0.0, adjusted, score)

    def get_config(self):
        config = super().get_config()
        return {**config, "class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}

"""Ftrl."""

from maas.optimizers.fused import FusedOptimizer


class Ftrl(FusedOptimizer):
    """Follow the regularised leader: sparse weights through `l1`.

    `n = a + g^2; l += g + 2 s w - (n^-p - a^-p) / lr * w; w = (clip(l, -l1, l1) - l) / (n^-p / lr + 2 l2 + beta / lr)`
    with `p = learning_rate_power`, `s = l2_shrinkage_regularization_strength`.

    Args:
        learning_rate: float, schedule or callable.
        learning_rate_power: float <= 0; 0 is a fixed step size.
        initial_accumulator_value: float >= 0, the first `a`.
        l1_regularization_strength: float >= 0.
        l2_regularization_strength: float >= 0, a penalty that keeps the update stable.
        l2_shrinkage_regularization_strength: float >= 0, a penalty on the size of weights.
        beta: float, from the paper.
        others: see `Optimizer`, in its order.

    Raises:
        ValueError: for values outside the ranges above.
    Reference: McMahan et al., 2013, "Ad Click Prediction: a View from the Trenches".
    """

    rule = "ftrl"

    def __init__(
        self,
        learning_rate=0.001,
        learning_rate_power=-0.5,
        initial_accumulator_value=0.1,
        l1_regularization_strength=0.0,
        l2_regularization_strength=0.0,
        l2_shrinkage_regularization_strength=0.0,
        beta=0.0,
        *args,
        **kwargs,
    ):
        super().__init__(learning_rate, *args, **kwargs)
        if learning_rate_power > 0:
            raise ValueError(f"Ftrl: learning_rate_power must be <= 0, received {learning_rate_power}")
        options = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
        }
        for name, value in options.items():
            if value < 0:
                raise ValueError(f"Ftrl: {name} must be >= 0, received {value}")
            setattr(self, name, value)
        self.learning_rate_power, self.beta = learning_rate_power, beta

    def build(self, var_list):
        if self.built:
            return
        super().build(var_list)
        start = float(self.initial_accumulator_value)
        self._accumulators, self._linears = self.add_optimizer_variables(
            var_list, ["accumulator", "linear"], initializer=[start, "zeros"]
        )

    def _slots(self, index):
        return [self._accumulators[index], self._linears[index]]

    def _params(self):
        return {
            "power": -float(self.learning_rate_power),
            "l1": float(self.l1_regularization_strength),
            "l2": 2.0 * self.l2_regularization_strength,
            "shrinkage": 2.0 * self.l2_shrinkage_regularization_strength,
            "beta": float(self.beta),  # 2 (l2 + beta / (2 lr)), as Keras has it
        }

    def get_config(self):
        names = (
            "learning_rate_power", "initial_accumulator_value", "l1_regularization_strength",
            "l2_regularization_strength", "l2_shrinkage_regularization_strength", "beta",
        )  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

"""Muon."""

import re

from maas import ops
from maas.optimizers.optimizer import Optimizer


class Muon(Optimizer):
    """Matrices move along their momentum with all singular values near 1; everything else is left to AdamW.

    `m = beta m + g`, `u = g + beta m` (nesterov) or `m`, `w = w - rate rms_rate sqrt(max(rows, columns)) NS(u)`, where
    NS runs `x = a x + (b A + c A A) x` with `A = x x^T` on `u / |u|`.

    Args:
        learning_rate: float, schedule or callable.
        adam_beta_1, adam_beta_2, epsilon: floats of the AdamW part.
        adam_weight_decay: float or None, in place of `weight_decay` for the AdamW part.
        exclude_layers: list of regular expressions; variables whose path matches one go to AdamW.
        exclude_embeddings: bool, whether variables with "embedding" in their path go to AdamW.
        muon_a, muon_b, muon_c: floats of NS.
        adam_lr_ratio: float, the learning rate of the AdamW part divided by that of the other.
        momentum, nesterov: float and bool.
        ns_steps: int.
        rms_rate: float, or None for no scale by the matrix's size.
        others: see `Optimizer`.

    Reference: Jordan et al., 2024, "Muon"; Liu et al., 2025, arXiv:2502.16982.
    """

    def __init__(
        self, learning_rate=0.001, adam_beta_1=0.9, adam_beta_2=0.999, adam_weight_decay=0.004, epsilon=1e-7,
        weight_decay=0.004, clipnorm=None, clipvalue=None, global_clipnorm=None, use_ema=False, ema_momentum=0.99,
        ema_overwrite_frequency=None, loss_scale_factor=None, gradient_accumulation_steps=None, name=None,
        exclude_layers=None, exclude_embeddings=True, muon_a=3.4445, muon_b=-4.7750, muon_c=2.0315, adam_lr_ratio=1,
        momentum=0.95, ns_steps=5, nesterov=True, rms_rate=0.2, **kwargs,
    ):  # fmt: skip
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        self.adam_beta_1, self.adam_beta_2, self.epsilon = adam_beta_1, adam_beta_2, epsilon
        self.adam_weight_decay, self.adam_lr_ratio = adam_weight_decay, adam_lr_ratio
        self.muon_a, self.muon_b, self.muon_c = muon_a, muon_b, muon_c
        self.momentum, self.ns_steps, self.nesterov, self.rms_rate = momentum, ns_steps, nesterov, rms_rate
        self.exclude_layers, self.exclude_embeddings = list(exclude_layers or ()), exclude_embeddings

    def _is_adams(self, variable):
        path = getattr(variable, "path", None) or variable.name
        return (
            len(variable.shape) != 2
            or (self.exclude_embeddings and "embedding" in path.lower())
            or any(re.search(pattern, path) for pattern in self.exclude_layers)
        )

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = [], []
        for v in variables:
            self._momentums.append(self.add_variable_from_reference(v, name="momentum"))
            self._velocities.append(self.add_variable_from_reference(v, name="velocity") if self._is_adams(v) else None)

    def update_step(self, gradient, variable, learning_rate):
        i, dtype = self._get_variable_index(variable), variable.dtype
        g, w, m = ops.cast(gradient, dtype), ops.convert_to_tensor(variable), self._momentums[i]
        rate = ops.cast(learning_rate, dtype)
        if self._velocities[i] is not None:
            self._adam_step(g, w, variable, m, self._velocities[i], rate * self.adam_lr_ratio)
            return
        moved = m * self.momentum + g
        self.assign(m, moved)
        step = self._orthogonal(g + self.momentum * moved if self.nesterov else moved)
        if self.rms_rate is not None:
            step = step * (max(variable.shape) ** 0.5 * self.rms_rate)
        self.assign(variable, w - rate * step)

    def _adam_step(self, g, w, variable, momentum, velocity, rate):
        t = ops.cast(self.iterations + 1, variable.dtype)
        b1, b2 = (
            ops.power(ops.convert_to_tensor(b, dtype=variable.dtype), t) for b in (self.adam_beta_1, self.adam_beta_2)
        )
        m = momentum + (g - momentum) * (1.0 - self.adam_beta_1)
        v = velocity + (ops.square(g) - velocity) * (1.0 - self.adam_beta_2)
        self.assign(momentum, m)
        self.assign(velocity, v)
        self.assign(variable, w - m * (rate * ops.sqrt(1.0 - b2) / (1.0 - b1)) / (ops.sqrt(v) + self.epsilon))

    def _orthogonal(self, x):
        """A matrix near `u v^T` for `x = u s v^T`, by Newton-Schulz steps that overshoot 1 on purpose."""
        tall = x.shape[0] > x.shape[1]
        x = ops.transpose(x) if tall else x
        x = x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7)
        for _ in range(self.ns_steps):
            a = ops.matmul(x, ops.transpose(x))
            x = self.muon_a * x + ops.matmul(self.muon_b * a + self.muon_c * ops.matmul(a, a), x)
        return ops.transpose(x) if tall else x

    def _decay_weights(self, variables):
        rate = self.learning_rate
        for v in variables:
            decay = self.adam_weight_decay if self._is_adams(v) else self.weight_decay
            if decay is not None and self._use_weight_decay(v):
                self.assign(v, v - v * decay * ops.cast(rate, v.dtype))

    def get_config(self):
        names = (
            "adam_beta_1 adam_beta_2 epsilon exclude_layers muon_a muon_b muon_c adam_lr_ratio momentum ns_steps "
            "nesterov exclude_embeddings adam_weight_decay rms_rate"
        )
        return {**super().get_config(), **{n: getattr(self, n) for n in names.split()}}

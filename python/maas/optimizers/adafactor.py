"""Adafactor."""

from maas import ops
from maas.optimizers.optimizer import Optimizer


class Adafactor(Optimizer):
    """Adam's mean of squares kept as row and column means, so that the state of a matrix is a row and a column.

    Args:
        learning_rate: float, schedule or callable; at step t at most `1 / sqrt(t)` of it counts, as in Keras.
        beta_2_decay: float, exponent of the decay `1 - t^beta_2_decay`.
        epsilon_1: float, added to squared gradients.
        epsilon_2: float, smallest scale of a variable.
        clip_threshold: float, limit of the root mean square of an update.
        relative_step: bool; kept in the config, as in Keras it changes nothing else.
        others: see `Optimizer`, in its order.

    Reference: Shazeer and Stern, 2018, arXiv:1804.04235.
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_2_decay=-0.8,
        epsilon_1=1e-30,
        epsilon_2=1e-3,
        clip_threshold=1.0,
        relative_step=True,
        *args,
        **kwargs,
    ):
        super().__init__(learning_rate, *args, **kwargs)
        self.beta_2_decay, self.epsilon_1, self.epsilon_2 = beta_2_decay, epsilon_1, epsilon_2
        self.clip_threshold, self.relative_step = clip_threshold, relative_step

    def build(self, var_list):
        if self.built:
            return
        super().build(var_list)
        self._r, self._c, self._v = [], [], []
        for var in var_list:
            shape, matrix = tuple(var.shape), len(var.shape) >= 2
            add = self.add_variable
            # A vector keeps its whole mean of squares; two unused scalars stand here, as in Keras's files.
            self._r.append(add(shape[:-1] if matrix else (), dtype=var.dtype, name=var.name))
            self._c.append(add((*shape[:-2], shape[-1]) if matrix else (), dtype=var.dtype, name=var.name))
            self._v.append(self.add_variable_from_reference(var, name="velocity"))

    def update_step(self, gradient, variable, learning_rate):
        dtype, i = variable.dtype, self._get_variable_index(variable)
        g, rate, t = ops.cast(gradient, dtype), ops.cast(learning_rate, dtype), ops.cast(self.iterations + 1, dtype)
        step = ops.maximum(_root_mean_square(ops.convert_to_tensor(variable)), self.epsilon_2)
        step = step * ops.minimum(rate, 1.0 / ops.sqrt(t))
        square, decay = ops.square(g) + self.epsilon_1, 1.0 - ops.power(t, self.beta_2_decay)
        if len(variable.shape) < 2:
            v = decay * self._v[i] + (1.0 - decay) * square
        else:
            r = decay * self._r[i] + (1.0 - decay) * ops.mean(square, axis=-1)
            c = decay * self._c[i] + (1.0 - decay) * ops.mean(square, axis=-2)
            self.assign(self._r[i], r)
            self.assign(self._c[i], c)
            v = ops.expand_dims(r / ops.mean(r, axis=-1, keepdims=True), -1) * ops.expand_dims(c, -2)
        self.assign(self._v[i], v)
        move = g / ops.sqrt(v)
        move = move / ops.maximum(_root_mean_square(move) / self.clip_threshold, 1.0)
        self.assign_sub(variable, step * move)

    def get_config(self):
        names = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _root_mean_square(x):
    return ops.sqrt(ops.mean(ops.square(x)))

"""Optimizers whose step is one op over many variables."""

from maas import _core, ops
from maas.optimizers.optimizer import Optimizer

MAX_OPERANDS = 64  # what a step of a plan takes
# A larger variable gets an op of its own, so that its gradient is given back before the others are made.
LARGE = 1 << 16


class FusedOptimizer(Optimizer):
    """Base of optimizers with an op of their own. Subclasses define `rule`, `_slots`, `_params` and maybe `_scalars`.

    Weight decay is a part of the op: `w = w - w * (weight_decay * learning_rate)` before the rule, as in Keras.
    A subclass that overrides `update_step` gets it called for every variable, as with `Optimizer`.
    """

    rule = None  # name of the op

    def _slots(self, index):
        """State of one variable, in the op's order."""
        raise NotImplementedError(f"{type(self).__name__} must define _slots(index)")

    def _params(self):
        """Parameters of the op."""
        return {}

    def _scalars(self, learning_rate, dtype):
        """Scalars of the op; `learning_rate` is a scalar of `dtype`."""
        del dtype
        return [learning_rate]

    def update_step(self, gradient, variable, learning_rate):
        self._update_spans([gradient], [variable], learning_rate, fold_decay=False)

    def update_all(self, gradients, variables, learning_rate):
        if type(self).update_step is not FusedOptimizer.update_step:
            super().update_all(gradients, variables, learning_rate)
        else:
            self._update_spans(gradients, variables, learning_rate, fold_decay=True)

    def _decay_weights(self, variables):
        # An `update_all` or `update_step` of a subclass knows nothing of the decay.
        known = getattr(type(self).update_all, "folds_decay", False)
        if not known or type(self).update_step is not FusedOptimizer.update_step:
            super()._decay_weights(variables)

    update_all.folds_decay = True

    def _update_spans(self, gradients, variables, learning_rate, fold_decay):
        groups = {}
        for gradient, variable in zip(gradients, variables):
            decay = fold_decay and self.weight_decay is not None and self._use_weight_decay(variable)
            size = 1
            for d in variable.shape:
                size *= d
            key = (variable.dtype, decay, id(variable) if size >= LARGE else None)
            groups.setdefault(key, []).append((gradient, variable))
        scalars = {}
        for (dtype, decay, _), pairs in groups.items():
            if dtype not in scalars:
                rate = ops.cast(learning_rate, dtype)
                scalars[dtype] = self._scalars(rate, dtype), rate
            numbers, rate = scalars[dtype]
            if decay:
                numbers = [*numbers, rate * self.weight_decay]
            slots = len(self._slots(self._get_variable_index(pairs[0][1])))
            count = (MAX_OPERANDS - len(numbers)) // (2 + slots)
            for i in range(0, len(pairs), count):
                self._update_group(pairs[i : i + count], numbers, decay)

    def _update_group(self, pairs, numbers, decay):
        operands, targets = list(numbers), []
        for gradient, variable in pairs:
            slots = self._slots(self._get_variable_index(variable))
            operands += [variable, ops.cast(gradient, variable.dtype), *slots]
            targets += [variable, *slots]
        update = getattr(_core, self.rule)
        values = update(*operands, variables=len(pairs), decay=decay, **self._params())
        values = values if isinstance(values, (tuple, list)) else (values,)
        for target, value in zip(targets, values, strict=True):
            self.assign(target, value)

"""Evaluate with the moving averages of the weights."""

from maas.callbacks.callback import Callback


class SwapEMAWeights(Callback):
    """Puts the moving averages of the weights into the model for `evaluate` and `predict`, and takes them out after.

    The optimizer must be made with `use_ema=True`.

    Args:
        swap_on_epoch: bool, whether the averages are in the model at the end of each epoch too, for callbacks after
            this one such as `ModelCheckpoint`.
    """

    def __init__(self, swap_on_epoch=False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._ema_weights_in_model = False

    def _pairs(self):
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        found = [o for o in getattr(optimizer, "optimizers", [optimizer]) if getattr(o, "use_ema", False)]
        if not found:
            raise ValueError("SwapEMAWeights: the optimizer must be made with use_ema=True, received use_ema=False")
        return [pair for o in found for pair in zip(o._trainable_variables, o._averages)]

    def _swap(self, into_model):
        if self._ema_weights_in_model == into_model:
            return
        for variable, average in self._pairs():
            value = variable.numpy()
            variable.assign(average.numpy())
            average.assign(value)
        self._ema_weights_in_model = into_model

    def on_epoch_begin(self, epoch, logs=None):
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch, logs=None):
        if self.swap_on_epoch and not self._ema_weights_in_model:
            self._swap(True)
            if epoch == self.params["epochs"] - 1:
                # The model keeps the averages; the end of fit() sets the weights to what stands for them.
                for variable, average in self._pairs():
                    average.assign(variable.numpy())

    def on_test_begin(self, logs=None):
        self._swap(True)

    def on_test_end(self, logs=None):
        self._swap(False)

    def on_predict_begin(self, logs=None):
        self._swap(True)

    def on_predict_end(self, logs=None):
        self._swap(False)

"""`Trainer`: all that `Model` can do besides being a layer, put together from one mixin per subject."""

from maas.models.compiling import Compiling
from maas.models.evaluating import Evaluating
from maas.models.fitting import Fitting
from maas.models.stepping import Stepping

_OWN = frozenset("optimizer loss history stop_training stop_evaluating stop_predicting run_eagerly jit_compile".split())


class Trainer(Compiling, Stepping, Fitting, Evaluating):
    """Mixin of `Model`: training, evaluation, prediction.

    One call of a compiled program does a whole step: forward, loss with regularisation, gradients, optimizer update
    and metric update. A step that fails or is interrupted leaves all variables as they were.
    """

    # State is kept past the model's attribute tracking: optimizers and metrics are not layers of the model.
    compiled = False
    optimizer = None
    loss = None
    history = None
    stop_training = False
    stop_evaluating = False
    stop_predicting = False
    run_eagerly = False
    jit_compile = True
    steps_per_execution = 1
    _compile_loss = None
    _compile_metrics = None
    _loss_tracker = None
    _compile_config = None
    _compile_version = 0

    def __setattr__(self, name, value):
        # Not a part of the model: writing these is no reason to trace again.
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def _set(self, **attributes):
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

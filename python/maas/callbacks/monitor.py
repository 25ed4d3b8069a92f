"""The base class of callbacks that follow one metric."""

import operator
import warnings

from maas.callbacks.callback import Callback


class MonitorCallback(Callback):
    """Knows whether a new value of `monitor` is better than the best so far.

    Args:
        monitor: str, the metric's name in the logs.
        mode: `"min"`, `"max"`, or `"auto"`, which asks the metric (a loss is minimised).
        baseline: float or None, the first value to beat.
        min_delta: float, what an improvement must exceed.
    """

    def __init__(self, monitor="val_loss", mode="auto", baseline=None, min_delta=0):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(f"{type(self).__name__}: mode is 'auto' now, received mode={mode!r}", stacklevel=3)
            mode = "auto"
        self.monitor, self.mode = monitor, mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self.monitor_op = None

    def _set_monitor_op(self):
        self.monitor_op = self._choose_op()
        if self.monitor_op is operator.lt:
            self.min_delta = -self.min_delta

    def _choose_op(self):
        if self.mode in ("min", "max"):
            return operator.lt if self.mode == "min" else operator.gt
        name = self.monitor.removeprefix("val_")
        for group in getattr(self.model, "metrics", ()):
            for metric in getattr(group, "metrics", ()):
                if metric.name == name and metric._direction is not None:
                    return operator.gt if metric._direction == "up" else operator.lt
        if name == "loss":
            return operator.lt
        raise ValueError(
            f"{type(self).__name__} cannot tell whether a larger value of {self.monitor!r} is better: pass "
            f"mode='max' or mode='min', received monitor={self.monitor!r} and mode='auto'"
        )

    def _is_improvement(self, value, reference):
        if reference is None:
            return True
        return self.monitor_op(value - self.min_delta, reference)

    def _monitored(self, logs, action):
        """The value of `monitor`, or None with a warning that says what there is."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"{action} looks at {self.monitor!r}, which is not in the logs, received {', '.join(logs or {})}",
                stacklevel=3,
            )
        return value

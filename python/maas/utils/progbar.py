"""The progress bar: in a terminal, in a notebook, and as plain lines in a log file."""

import os
import re
import sys
import time

import numpy as np

from maas.utils.io_utils import is_interactive_logging_enabled, print_msg

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def _in_notebook():
    if "ipykernel" not in sys.modules:
        return False
    shell = sys.modules.get("IPython")
    shell = shell.get_ipython() if shell is not None else None
    return shell is not None and hasattr(shell, "kernel")


class Progbar:
    """A progress bar with metrics: `12/40 ━━━━━ 0s 3ms/step - loss: 0.1234`.

    Args:
        target: int, the number of steps, or None if unknown.
        width: int, characters of the bar.
        verbose: 0 nothing, 1 a bar, 2 one line at the end.
        interval: float, seconds between two drawings.
        stateful_metrics: names of metrics shown as they are; the others are averaged over steps.
        stateless_metrics: names of metrics averaged over steps; the others are shown as they are.
        unit_name: str, what one step is called.

    A terminal and a notebook redraw one line; output to a file gets only the last line of a run.
    """

    def __init__(
        self,
        target,
        width=20,
        verbose=1,
        interval=0.05,
        stateful_metrics=None,
        stateless_metrics=None,
        unit_name="step",
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError(
                "Progbar: give stateful_metrics or stateless_metrics, received both: "
                f"{stateful_metrics} and {stateless_metrics}"
            )
        self.target, self.width, self.verbose = target, width, verbose
        self.interval, self.unit_name = interval, unit_name
        self.stateful_metrics = None if stateless_metrics is not None else set(stateful_metrics or ())
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._notebook = _in_notebook()
        isatty = getattr(sys.stdout, "isatty", None)
        self._dynamic_display = self._notebook or bool(isatty and isatty()) or "PYCHARM_HOSTED" in os.environ
        self._handle = None
        self._seen_so_far = 0
        self._values = {}
        self._start = time.time()
        self._time_after_first_step = None
        self._prev_total_width = 0
        # The time from which `update` draws again; the caller may skip reading metrics before.
        self.next_update = self._start if self._dynamic_display else float("inf")

    def update(self, current, values=None, finalize=None):
        """Sets the number of steps done, and metrics.

        Args:
            current: int.
            values: list of (name, value).
            finalize: bool or None; ends the line. None: when `current` reaches the target.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            self._record(name, value, current, finalize)
        self._seen_so_far = current
        now = time.time()
        per_step = self._step_duration(current, now)
        if self.verbose == 1 and (finalize or (self._dynamic_display and now >= self.next_update)):
            self._draw(current, now, per_step, finalize)
            self.next_update = now + self.interval
        elif self.verbose == 2 and finalize and self.target:
            done = f"{current:>{len(str(self.target))}}/{self.target} - {now - self._start:.0f}s -"
            print_msg(done + self._duration(per_step) + self._metrics())

    def add(self, n, values=None):
        """Adds `n` steps."""
        self.update(self._seen_so_far + n, values)

    def _record(self, name, value, current, finalize):
        averaged = (
            name in self.stateless_metrics if self.stateful_metrics is None else name not in self.stateful_metrics
        )
        if not averaged or finalize:
            self._values[name] = [value, 1]
            return
        steps = max(current - self._seen_so_far, 1)
        total = self._values.setdefault(name, [0, 0])
        total[0] += value * steps
        total[1] += steps

    def _draw(self, current, now, per_step, finalize):
        if self.target:
            done = int(self.width * min(current / self.target, 1.0))
            count = f"{current:>{len(str(self.target))}}/{self.target}"
            bar = f"\x1b[1m{count}\x1b[0m \x1b[32m{'━' * done}\x1b[0m\x1b[37m{'━' * (self.width - done)}\x1b[0m"
        else:
            bar = f"{current:7d}/Unknown"
        elapsed = f"{now - self._start:.0f}s" if finalize or not self.target else self._eta(current, per_step)
        line = f"{bar} \x1b[1m{elapsed}\x1b[0m{self._duration(per_step)}{self._metrics()}"
        plain = _ANSI.sub("", line)
        if self._notebook and is_interactive_logging_enabled():
            self._show_in_notebook(current, plain)
        elif not self._dynamic_display:
            print_msg(plain)
        else:
            blank = " " * max(self._prev_total_width - len(plain), 0)
            print_msg("\r" + line + blank + ("\n" if finalize else ""), line_break=False)
        self._prev_total_width = len(plain)

    def _show_in_notebook(self, current, plain):
        from html import escape

        from IPython.display import HTML, display

        text = plain.replace("━", "")
        bar = f"<progress value='{current}' max='{self.target}'></progress> " if self.target else ""
        html = HTML(f"<div style='font-family:monospace;white-space:pre'>{bar}{escape(text)}</div>")
        if self._handle is None:
            self._handle = display(html, display_id=True)
        else:
            self._handle.update(html)

    def _eta(self, current, per_step):
        left = int(per_step * (self.target - current))
        if left > 3600:
            return f"{left // 3600}:{left % 3600 // 60:02d}:{left % 60:02d}"
        return f"{left // 60}:{left % 60:02d}" if left > 60 else f"{left}s"

    def _metrics(self):
        text = ""
        for name, (value, count) in self._values.items():
            mean = float(np.mean(value)) / max(1, count)
            text += f" - {name}: {mean:.4f}" if abs(mean) > 0.001 else f" - {name}: {mean:.4e}"
        return text

    def _duration(self, seconds):
        if seconds >= 1 or seconds == 0:
            return f" {seconds:.0f}s/{self.unit_name}"
        if seconds >= 1e-3:
            return f" {seconds * 1e3:.0f}ms/{self.unit_name}"
        return f" {seconds * 1e6:.0f}us/{self.unit_name}"

    def _step_duration(self, current, now):
        """Mean time of a step; the first one, which compiles, is left out once there are more."""
        if not current:
            return 0.0
        if self._time_after_first_step is not None and current > 1:
            return (now - self._time_after_first_step) / (current - 1)
        if current == 1:
            self._time_after_first_step = now
        return (now - self._start) / current

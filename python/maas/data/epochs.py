"""Steps and epochs over an adapter."""

import itertools
import numbers
import warnings

from maas.backend import config
from maas.data import rng_state


class EpochIterator:
    """Cuts the batches of an adapter into epochs.

    With `steps_per_epoch` an epoch has so many steps and the next one goes on where it stopped; without, an epoch is
    one pass.

    Args:
        adapter: DataAdapter.
        steps_per_epoch: int or None.
    """

    def __init__(self, adapter, steps_per_epoch=None):
        if steps_per_epoch is not None and (not isinstance(steps_per_epoch, numbers.Integral) or steps_per_epoch < 1):
            raise ValueError(f"the number of steps must be an int >= 1, received {steps_per_epoch!r}")
        limit = config.max_steps_per_epoch()
        steps = steps_per_epoch or adapter.num_batches
        if limit is not None and (steps is None or limit < steps):
            warnings.warn(f"epochs end after {limit} steps: maas.config.set_max_steps_per_epoch says so", stacklevel=3)
            steps_per_epoch = limit
        self.adapter = adapter
        self.steps_per_epoch = steps_per_epoch
        self._num_batches = adapter.num_batches
        self._current, self._seen = None, 0
        self._held = None
        # Where a pass began, so that a run that was killed can find its place again.
        self._passes, self._pass_rng = 0, None
        self._found = None

    @property
    def num_batches(self):
        """Steps of an epoch, None while unknown."""
        return self.steps_per_epoch or self._num_batches

    def peek(self):
        """The first batch, which the first epoch gives again."""
        if self._held is None:
            self._start()
            self._held = next(self._current, None)
            if self._held is None:
                raise ValueError("the data must yield at least one batch, received none")
        return self._held

    def reset(self):
        """Start again at the first batch."""
        self._current, self._seen, self._held = None, 0, None

    def _start(self):
        self._pass_rng = rng_state.get()
        self._passes += 1
        self._current, self._seen = self.adapter.batches(), 0

    def position(self):
        """Where the data stands, for `seek`: passes begun, batches taken of the last one, and the random state before
        it.
        """
        return {"passes": self._passes, "taken": self._seen, "rng": self._pass_rng}

    def seek(self, position, step=None):
        """Go to a place of another run over the same data: same order, same next batch.

        Args:
            position: what `position` gave there.
            step: int, the step of its epoch that comes next; None if an epoch had just ended.

        Raises:
            ValueError: if the data are shorter.
        """
        passes, taken, adapter = position["passes"], position["taken"], self.adapter
        over = step is None and self.steps_per_epoch is None
        if adapter.one_pass or (adapter.counts_passes and passes == self._passes and not over):
            # The pass that peek() began is the one: what it took counts.
            have, self._held = self._held, None
            if taken == 0:
                self._held = have
            self._skip(taken - (have is not None), taken)
            self._found = step
            return
        self.reset()
        begun = passes if over else passes - 1
        if adapter.counts_passes:
            for _ in range(self._passes, begun):
                next(iter(adapter.batches()), None)
        self._passes = max(begun, 0)
        if over:
            return
        now = rng_state.get()
        rng_state.set(position["rng"])
        self._start()
        self._skip(taken, taken)
        rng_state.set(now)
        self._found = step
        if step is None and self._num_batches is not None and taken >= self._num_batches:
            self._current = None

    def _skip(self, count, taken):
        for _ in range(count):
            if next(self._current, None) is None:
                raise ValueError(f"the data ended before the place of the backup, received fewer than {taken} batches")
        self._seen = taken

    def exhausted(self):
        """True if no epoch can follow: a generator that has ended."""
        return self._held is None and self.adapter.exhausted()

    def epoch(self):
        """Iterator of (step, (layout, key, arrays))."""
        self.adapter.on_epoch_begin()
        try:
            if self.steps_per_epoch is None:
                yield from self._one_pass()
            else:
                yield from self._some_steps()
        finally:
            self.adapter.on_epoch_end()

    def _one_pass(self):
        first, self._found = self._found, None
        if first is None and self._held is None:
            self._start()
        for step in itertools.count(first or 0):
            batch = self._next()
            if batch is None:
                break
            yield step, batch
        step -= 1
        self._current = None
        if step < 0 or (self._num_batches is not None and step + 1 < self._num_batches):
            self._out_of_data(step + 1, self._num_batches)
        elif self._num_batches is None:
            self._num_batches = step + 1

    def _some_steps(self):
        if self._current is None:
            self._start()
        first, self._found = self._found or 0, None
        for step in range(first, self.steps_per_epoch):
            batch = self._next()
            if batch is None:
                self._out_of_data(step, self.steps_per_epoch)
                self._current = None
                return
            yield step, batch
        if self._num_batches is not None and self._seen >= self._num_batches:
            self._current = None

    def _next(self):
        if self._held is not None:
            batch, self._held = self._held, None
        else:
            batch = next(self._current, None)
        self._seen += batch is not None
        return batch

    @staticmethod
    def _out_of_data(done, wanted):
        warnings.warn(
            "the data ran out, so the epoch ends early; make it yield at least steps_per_epoch * epochs batches, "
            f"received {done}" + (f" of {wanted}" if wanted else ""),
            stacklevel=4,
        )

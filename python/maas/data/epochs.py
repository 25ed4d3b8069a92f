"""Steps and epochs over an adapter."""

import numbers
import warnings

from maas.backend import config


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

    @property
    def num_batches(self):
        """Steps of an epoch, None while unknown."""
        return self.steps_per_epoch or self._num_batches

    def peek(self):
        """The first batch, which the first epoch gives again."""
        if self._held is None:
            self._current, self._seen = self.adapter.batches(), 0
            self._held = next(self._current, None)
            if self._held is None:
                raise ValueError("the data must yield at least one batch, received none")
        return self._held

    def reset(self):
        """Start again at the first batch."""
        self._current, self._seen, self._held = None, 0, None

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
        batches = self._take()
        step = -1
        for step, batch in enumerate(batches):
            yield step, batch
        self._current = None
        if step < 0 or (self._num_batches is not None and step + 1 < self._num_batches):
            self._out_of_data(step + 1, self._num_batches)
        elif self._num_batches is None:
            self._num_batches = step + 1

    def _some_steps(self):
        if self._current is None:
            self._current, self._seen = self.adapter.batches(), 0
        for step in range(self.steps_per_epoch):
            batch = self._next()
            if batch is None:
                self._out_of_data(step, self.steps_per_epoch)
                self._current = None
                return
            yield step, batch
        if self._num_batches is not None and self._seen >= self._num_batches:
            self._current = None

    def _take(self):
        """One pass over the batches, with the one that `peek` has read."""
        if self._held is not None:
            held, self._held = self._held, None
            yield held
            yield from self._current
            return
        yield from self.adapter.batches()

    def _next(self):
        self._seen += 1
        if self._held is not None:
            held, self._held = self._held, None
            return held
        return next(self._current, None)

    @staticmethod
    def _out_of_data(done, wanted):
        warnings.warn(
            "the data ran out, so the epoch ends early; make it yield at least steps_per_epoch * epochs batches, "
            f"received {done}" + (f" of {wanted}" if wanted else ""),
            stacklevel=4,
        )

"""`PyDataset`: batches by number, made in worker threads or processes."""

import itertools
import random

from maas.data.adapter import DataAdapter
from maas.data.iterable_adapter import standardize_batch


class PyDataset:
    """Base class of datasets that make batch number `i` on demand.

    Subclasses write `__getitem__(i)`, which returns `(x,)`, `(x, y)` or `(x, y, sample_weight)`, and `__len__` or
    `num_batches`.

    Args:
        workers: int; more than 1 makes batches ahead in so many threads (or processes).
        use_multiprocessing: bool; processes in place of threads.
        max_queue_size: int, the number of batches made ahead.
    """

    def __init__(self, workers=1, use_multiprocessing=False, max_queue_size=10):
        self.workers, self.use_multiprocessing, self.max_queue_size = workers, use_multiprocessing, max_queue_size

    # A subclass that forgets super().__init__() still works.
    workers = 1
    use_multiprocessing = False
    max_queue_size = 10

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index)")

    @property
    def num_batches(self):
        """Number of batches, or None for an endless dataset."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(f"{type(self).__name__} must define __len__ or num_batches")

    def __iter__(self):
        n = self.num_batches
        return (self[i] for i in (itertools.count() if n is None else range(n)))

    def on_epoch_begin(self):
        """Called before each epoch."""

    def on_epoch_end(self):
        """Called after each epoch."""


Sequence = PyDataset


class PyDatasetAdapter(DataAdapter):
    """Batches of a `PyDataset`, in order or in shuffled order of batches."""

    def __init__(self, dataset, shuffle=False, class_weight=None, input_dtypes=None):
        self.dataset, self.shuffle = dataset, shuffle
        self.class_weight, self.input_dtypes = class_weight, input_dtypes
        self.num_batches = dataset.num_batches
        if self.num_batches == 0:
            raise ValueError(f"{type(dataset).__name__} must have at least one batch, received 0")

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        self.dataset.on_epoch_end()

    def batches(self):
        indices = itertools.count() if self.num_batches is None else list(range(self.num_batches))
        if self.shuffle and self.num_batches is not None:
            random.shuffle(indices)
        for batch in self._made_ahead(iter(indices)):
            yield standardize_batch(batch, type(self.dataset).__name__, self.class_weight, self.input_dtypes)

    def _made_ahead(self, indices):
        d = self.dataset
        if d.workers <= 1 and not (d.use_multiprocessing and d.workers > 0):
            for i in indices:
                yield d[i]
            return
        from collections import deque
        from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

        pool = (ProcessPoolExecutor if d.use_multiprocessing else ThreadPoolExecutor)(d.workers)
        waiting = deque()
        try:
            for i in indices:
                waiting.append(pool.submit(d.__getitem__, i))
                if len(waiting) >= max(d.max_queue_size, 1):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

"""`Dataset`: elements made when they are asked for, with the methods that programs for tf.data use."""

import itertools
import operator
import os
import queue
import threading
from collections import deque

import numpy as np

from maas import tree

AUTOTUNE = -1
_END = object()


def _pair(element):
    """Elements that are tuples are passed to functions as arguments."""
    return element if isinstance(element, tuple) else (element,)


def _row(nest, i):
    return tree.map_structure(lambda a: a[i], nest)


def _stacked(elements):
    first = elements[0]
    columns = [np.stack([np.asarray(v) for v in column]) for column in zip(*(tree.flatten(e) for e in elements))]
    return tree.pack_sequence_as(first, columns)


def _count(method, name, value, least):
    """`value` as an int.

    Raises:
        ValueError: if it is none, or below `least`.
    """
    try:
        n = operator.index(value)
    except TypeError:
        n = None
    if n is None or isinstance(value, bool) or n < least:
        raise ValueError(f"Dataset.{method}: {name} must be an int >= {least}, received {name}={value!r}")
    return n


class _Rows:
    """Where the elements are rows of arrays: the arrays, and a function that gives the rows of one pass."""

    def __init__(self, arrays, order):
        self.arrays, self.order = arrays, order

    def __iter__(self):
        return (_row(self.arrays, i) for i in self.order())

    def batches(self, size, drop_remainder):
        order = self.order()
        for i in range(0, len(order) - size + 1 if drop_remainder else len(order), size):
            yield _row(self.arrays, order[i : i + size])


class Dataset:
    """Elements (nests of NumPy arrays) that can be read again and again.

    Args:
        make: function without arguments that gives an iterator over one pass.
        length: int, number of elements, or None if unknown.

    Attributes:
        class_names, file_paths: set by the functions that read folders.
    """

    def __init__(self, make, length=None):
        self._make, self._length, self._rows = make, length, None
        self.class_names = self.file_paths = None

    def __iter__(self):
        return iter(self._make())

    def __len__(self):
        if self._length is None:
            raise TypeError("the number of elements of this Dataset is not known before it has been read")
        return self._length

    def cardinality(self):
        """Number of elements, -2 if unknown."""
        return -2 if self._length is None else self._length

    def _next(self, make, length):
        out = Dataset(make, length)
        out.class_names, out.file_paths = self.class_names, self.file_paths
        return out

    def _reordered(self, order, length):
        """The rows of `order()`, for a data set whose elements are rows of arrays."""
        rows = _Rows(self._rows.arrays, order)
        out = self._next(lambda: iter(rows), length)
        out._rows = rows
        return out

    @staticmethod
    def from_tensor_slices(tensors):
        """One element for each row of a nest of arrays.

        Raises:
            ValueError: if the arrays have different numbers of rows.
        """
        arrays = tree.map_structure(np.asarray, tensors)
        sizes = {len(a) if a.ndim else "a number" for a in tree.flatten(arrays)}
        if len(sizes) != 1 or "a number" in sizes:
            raise ValueError(
                f"Dataset.from_tensor_slices: arrays must have equally many rows, received {sorted(sizes, key=str)}"
            )
        n = sizes.pop()
        rows = _Rows(arrays, lambda: np.arange(n))
        out = Dataset(lambda: iter(rows), n)
        # Rows of objects may be of any kind: those are stacked one by one.
        out._rows = None if any(a.dtype.hasobject for a in tree.flatten(arrays)) else rows
        return out

    @staticmethod
    def from_generator(generator):
        """The elements of `generator()`, a function that gives an iterator."""
        return Dataset(generator)

    def map(self, map_func, num_parallel_calls=None):
        """`map_func` of every element, in order.

        Args:
            map_func: function; elements that are tuples are its arguments.
            num_parallel_calls: int, number of threads that work ahead; AUTOTUNE takes one per CPU, None works in
                place.
        """

        def make():
            if num_parallel_calls is None:
                return (map_func(*_pair(e)) for e in self)
            return _ahead_in_threads(map_func, self, num_parallel_calls)

        return self._next(make, self._length)

    def filter(self, predicate):
        """The elements for which `predicate` is true."""
        return self._next(lambda: (e for e in self if bool(np.asarray(predicate(*_pair(e))))), None)

    def batch(self, batch_size, drop_remainder=False):
        """Stacks of `batch_size` elements; the last one may be smaller, or is dropped.

        Raises:
            ValueError: if the size is no positive int.
        """
        batch_size = _count("batch", "batch_size", batch_size, 1)

        def make():
            if self._rows is not None:
                yield from self._rows.batches(batch_size, drop_remainder)
                return
            elements = iter(self)
            while chunk := list(itertools.islice(elements, batch_size)):
                if len(chunk) == batch_size or not drop_remainder:
                    yield _stacked(chunk)

        n = self._length
        return self._next(make, None if n is None else n // batch_size if drop_remainder else -(-n // batch_size))

    def unbatch(self):
        """The rows of the elements."""

        def make():
            for element in self:
                for i in range(len(tree.flatten(element)[0])):
                    yield _row(element, i)

        return self._next(make, None)

    def shuffle(self, buffer_size, seed=None, reshuffle_each_iteration=True):
        """Elements in random order: the next one is drawn from a buffer of the following `buffer_size`.

        Raises:
            ValueError: if the size is no positive int.
        """
        from maas.random.seed_generator import make_default_seed

        buffer_size = _count("shuffle", "buffer_size", buffer_size, 1)
        passes = itertools.count()
        first = make_default_seed() if seed is None else seed

        def drawn(elements, many):
            rng = np.random.default_rng([first, next(passes) if reshuffle_each_iteration else 0])
            elements = iter(elements)
            buffer = list(itertools.islice(elements, buffer_size))
            while chunk := list(itertools.islice(elements, many)):
                for i, element in zip(rng.integers(len(buffer), size=len(chunk)).tolist(), chunk):
                    out, buffer[i] = buffer[i], element
                    yield out
            for i in rng.permutation(len(buffer)).tolist():
                yield buffer[i]

        if self._rows is None:
            return self._next(lambda: drawn(self, 1), self._length)
        order = self._rows.order
        return self._reordered(lambda: np.fromiter(drawn(order(), 4096), "int64"), self._length)

    def take(self, count):
        """The first `count` elements; -1 takes all."""
        count = _count("take", "count", count, -1)
        count = None if count == -1 else count
        n = self._length if count is None or self._length is None else min(count, self._length)
        if self._rows is not None:
            order = self._rows.order
            return self._reordered(lambda: order()[:count], n)
        return self._next(lambda: itertools.islice(self, count), n)

    def skip(self, count):
        """All but the first `count` elements; -1 skips all."""
        count = _count("skip", "count", count, -1)
        if count == -1:
            return self.take(0)
        n = None if self._length is None else max(self._length - count, 0)
        if self._rows is not None:
            order = self._rows.order
            return self._reordered(lambda: order()[count:], n)
        return self._next(lambda: itertools.islice(self, count, None), n)

    def repeat(self, count=None):
        """The elements `count` times over, or without end for None and -1; nothing stays nothing."""
        count = None if count is None else _count("repeat", "count", count, -1)

        def make():
            for _ in itertools.count() if count in (None, -1) else range(count):
                empty = True
                for element in self:
                    empty = False
                    yield element
                if empty:
                    return

        n = None if self._length is None or count in (None, -1) else self._length * count
        return self._next(make, n)

    def cache(self):
        """The elements, kept in memory once a pass has read all of them."""
        kept = []
        done = threading.Event()

        def make():
            if done.is_set():
                yield from kept
                return
            own = []
            for element in self:
                own.append(element)
                yield element
            kept[:] = own
            done.set()

        return self._next(make, self._length)

    def prefetch(self, buffer_size):
        """The elements, made ahead by a thread while the last ones are used.

        Args:
            buffer_size: int, at most so many wait; AUTOTUNE is 2.
        """
        return self._next(lambda: ahead(self, 2 if buffer_size in (None, AUTOTUNE) else buffer_size), self._length)

    def as_numpy_iterator(self):
        """Iterator over the elements."""
        return iter(self)


def ahead(iterable, size):
    """The items of an iterable, made by a thread, at most `size` ahead; it stops with its reader."""
    items, stop = queue.Queue(max(size, 1)), threading.Event()

    def put(item):
        while not stop.is_set():
            try:
                return items.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work():
        try:
            for item in iterable:
                put((item, None))
                if stop.is_set():
                    return
            put((_END, None))
        except BaseException as e:  # raised again where the items are read
            put((_END, e))

    thread = threading.Thread(target=work, daemon=True, name="maas-prefetch")
    thread.start()
    try:
        while True:
            item, error = items.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stop.set()
        thread.join(timeout=5)


def _cpus():
    """Number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ahead_in_threads(function, elements, workers):
    from concurrent.futures import ThreadPoolExecutor

    workers = _cpus() if workers == AUTOTUNE else workers
    pool, waiting = ThreadPoolExecutor(workers, thread_name_prefix="maas-map"), deque()
    try:
        for element in elements:
            waiting.append(pool.submit(function, *_pair(element)))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)

"""`Dataset`: elements made when they are asked for, with the methods that programs for tf.data use."""

import itertools
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


class Dataset:
    """Elements (nests of NumPy arrays) that can be read again and again.

    Args:
        make: function without arguments that gives an iterator over one pass.
        length: int, number of elements, or None if unknown.

    Attributes:
        class_names, file_paths: set by the functions that read folders.
    """

    def __init__(self, make, length=None):
        self._make, self._length = make, length
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

    @staticmethod
    def from_tensor_slices(tensors):
        """One element for each row of a nest of arrays.

        Raises:
            ValueError: if the arrays have different numbers of rows.
        """
        arrays = tree.map_structure(np.asarray, tensors)
        sizes = {len(a) for a in tree.flatten(arrays)}
        if len(sizes) != 1:
            raise ValueError(
                f"Dataset.from_tensor_slices: arrays must have equally many rows, received {sorted(sizes)}"
            )
        n = sizes.pop()
        return Dataset(lambda: (_row(arrays, i) for i in range(n)), n)

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
        """Stacks of `batch_size` elements; the last one may be smaller, or is dropped."""

        def make():
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
        """Elements in random order: the next one is drawn from a buffer of the following `buffer_size`."""
        passes = itertools.count()
        first = np.random.randint(2**31) if seed is None else seed

        def make():
            rng = np.random.default_rng([first, next(passes) if reshuffle_each_iteration else 0])
            buffer, elements = [], iter(self)
            for element in elements:
                if len(buffer) < buffer_size:
                    buffer.append(element)
                    continue
                i = int(rng.integers(len(buffer)))
                out, buffer[i] = buffer[i], element
                yield out
            rng.shuffle(buffer)
            yield from buffer

        return self._next(make, self._length)

    def take(self, count):
        """The first `count` elements."""
        n = None if self._length is None else min(count, self._length)
        return self._next(lambda: itertools.islice(self, count), n)

    def skip(self, count):
        """All but the first `count` elements."""
        n = None if self._length is None else max(self._length - count, 0)
        return self._next(lambda: itertools.islice(self, count, None), n)

    def repeat(self, count=None):
        """The elements `count` times over, or without end."""

        def make():
            for _ in itertools.count() if count in (None, -1) else range(count):
                yield from self

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


def _ahead_in_threads(function, elements, workers):
    from concurrent.futures import ThreadPoolExecutor
    from os import cpu_count

    workers = max(1, cpu_count() or 1) if workers == AUTOTUNE else workers
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

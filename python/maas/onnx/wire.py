"""Where large initialisers lie in a model's bytes, so that they are read once, into place, and not by protobuf.

Reference: protobuf.dev/programming-guides/encoding; numbers of fields: onnx.proto.
"""

import os
import stat

from maas.utils.protobuf import head

GRAPH, INITIALIZER, RAW_DATA = 7, 5, 9  # of ModelProto, GraphProto, TensorProto
_SMALL = 1024  # bytes of data that stay with protobuf
_WINDOW = 1 << 12  # bytes that are looked at together: headers between large data lie far apart


class FileSource:
    """Bytes of an open file, read where they are asked for.

    Args:
        path: str.
        limit: int, bytes that the file may have.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a plain file, or too large.
    """

    def __init__(self, path, limit):
        self._path, self._scratch = path, bytearray()
        try:
            # A pipe must not make the reader wait.
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise FileNotFoundError(f"onnx: model file not found, received {path!r}") from None
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            os.close(fd)
            raise ValueError(f"onnx: a model must be a plain file, received {path!r}")
        if info.st_size > limit:
            os.close(fd)
            raise ValueError(f"onnx: a model file may hold {limit} bytes, received {info.st_size} in {path!r}")
        self.size, self._fd = info.st_size, fd

    def peek(self, at, size):
        """Up to `size` bytes."""
        return os.pread(self._fd, size, at)

    def read(self, at, size):
        """Exactly `size` bytes, in memory that the next read uses again."""
        if len(self._scratch) < size:
            self._scratch = bytearray(size)
        view, done = memoryview(self._scratch)[:size], 0
        while done < size:
            got = os.preadv(self._fd, [view[done:]], at + done)
            if not got:
                raise ValueError(f"onnx: {self._path!r} became shorter while it was read")
            done += got
        return view

    def close(self):
        os.close(self._fd)
        self._scratch = bytearray()


class BytesSource:
    """The same of bytes in memory."""

    def __init__(self, data):
        self._view = memoryview(data).cast("B")
        self.size = len(self._view)

    def peek(self, at, size):
        return self._view[at : at + size]

    def read(self, at, size):
        return self._view[at : at + size]

    def close(self):
        self._view = memoryview(b"")


def split(source):
    """(bytes of a ModelProto without large data, dict of number of the initialiser to `(begin, size)` of its data).

    Raises:
        ValueError: for bytes that are no protobuf.
    """
    model = list(_Fields(source, 0, source.size))
    graphs = [f for f in model if f[0] == GRAPH]
    if len(graphs) != 1 or graphs[0][1] != 2:
        # Graphs that come in parts are put together by protobuf alone.
        return bytes(source.read(0, source.size)), {}
    pieces, places = [], {}
    for number, _, begin, value, end in model:
        if number == GRAPH:
            inner = _graph(source, value, end, places)
            pieces += [head(GRAPH, sum(map(len, inner))), *inner]
        else:
            pieces.append(bytes(source.read(begin, end - begin)))
    return b"".join(pieces), places


def _graph(source, begin, end, places):
    """Pieces of a GraphProto; what is left out goes to `places`."""
    pieces, kept, count = [], begin, 0
    for number, kind, start, value, stop in _Fields(source, begin, end):
        if number != INITIALIZER or kind != 2:  # of another kind it is a field that protobuf does not know
            continue
        data = _large_data(source, value, stop) if stop - value > _SMALL else None
        if data is not None:
            field, at, after = data
            pieces.append(bytes(source.read(kept, start - kept)))
            left = bytes(source.read(value, field - value)), bytes(source.read(after, stop - after))
            pieces += [head(INITIALIZER, sum(map(len, left))), *left]
            places[count], kept = (at, after - at), stop
        count += 1
    pieces.append(bytes(source.read(kept, end - kept)))
    return pieces


def _large_data(source, begin, end):
    """(begin of the field, begin of the data, end) of the one raw_data of a tensor, None where it is small."""
    found = [f for f in _Fields(source, begin, end) if f[0] == RAW_DATA]
    if len(found) != 1 or found[0][1] != 2 or found[0][4] - found[0][3] <= _SMALL:
        return None
    return found[0][2], found[0][3], found[0][4]


class _Fields:
    """(number, wire type, begin, begin of the value, end) of every field of a message."""

    def __init__(self, source, begin, end):
        self._source, self._at, self._end = source, begin, end
        self._window, self._base = b"", 0

    def __iter__(self):
        while self._at < self._end:
            begin = self._at
            key = self._number()
            number, kind = key >> 3, key & 7
            if kind == 2:
                size = self._number()
                value, self._at = self._at, self._at + size
            elif kind == 0:
                value = self._at
                self._number()
            elif kind in (1, 5):
                value = self._at
                self._at += 8 if kind == 1 else 4
            else:
                raise ValueError(f"wire type {kind}")
            if not number or self._at > self._end:
                raise ValueError(f"field {number} of {self._at - begin} bytes")
            yield number, kind, begin, value, self._at

    def _number(self):
        """A varint."""
        result = shift = 0
        while True:
            at = self._at - self._base
            if not 0 <= at < len(self._window):
                self._window, self._base = self._source.peek(self._at, min(_WINDOW, self._end - self._at)), self._at
                at = 0
                if not len(self._window):
                    raise ValueError("ends in a number")
            byte = self._window[at]
            self._at += 1
            result |= (byte & 127) << shift
            if byte < 128:
                return result
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")

"""A reader for the few pickles that old data sets come in: numbers, text, lists, dicts and NumPy arrays of them.

Nothing is unpickled: the byte codes are read by the loop below, which knows no way to import or call anything. The
three NumPy names that such files hold are compared as text and stand for code written here.
"""

import re
import struct

import numpy as np

# Runs of small ints make up nearly all of a file.
_INTS = re.compile(rb"(?:K.|M..|J....)+", re.S)
_INT = re.compile(rb"K(.)|M(..)|J(....)", re.S)
_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): "reconstruct",
    ("numpy._core.multiarray", "_reconstruct"): "reconstruct",
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
}
_DTYPES = frozenset("u1 i1 u2 i2 u4 i4 u8 i8 f2 f4 f8 b1 O8 O".split())
_MARK = object()


class _Name:
    """One of the names of `_NAMES`."""

    def __init__(self, word):
        self.word = word


class _DType:
    def __init__(self, word):
        self.word, self.order = word, "|"

    def build(self, state):
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "=", b"<", b">", b"|"):
            raise _refused("a dtype of an unknown kind")
        self.order = state[1].decode() if isinstance(state[1], bytes) else state[1]

    def numpy(self):
        return np.dtype("O") if self.word.startswith("O") else np.dtype(self.order.replace("|", "=") + self.word)


class _Array:
    value = None

    def build(self, state):
        if not isinstance(state, tuple) or len(state) != 5:
            raise _refused("an array of an unknown kind")
        _, shape, dtype, fortran, data = state
        if (
            not isinstance(shape, tuple)
            or not isinstance(dtype, _DType)
            or not all(type(n) is int and 0 <= n < 1 << 40 for n in shape)
        ):
            raise _refused("an array of an unknown kind")
        dtype, size = dtype.numpy(), 1
        for n in shape:
            size *= n
        if dtype.hasobject:
            if not isinstance(data, list) or len(data) != size:
                raise _refused("an array with another number of entries than its shape says")
            flat = np.empty(size, object)
            for i, v in enumerate(data):
                flat[i] = _finished(v)
        else:
            if not isinstance(data, bytes) or len(data) != size * dtype.itemsize:
                raise _refused("an array with another number of bytes than its shape says")
            flat = np.frombuffer(data, dtype)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


class _Unfinished(tuple):
    """A tuple with a stand-in: arguments and states are such; as a value it is refused."""


def _refused(what):
    return ValueError(f"this reader takes numbers, text, lists, dicts and arrays only, received {what}")


def _finished(value):
    """Arrays in place of their stand-ins."""
    if isinstance(value, _Array):
        if value.value is None:
            raise _refused("an array without data")
        return value.value
    if isinstance(value, (_Name, _DType, _Unfinished)):
        raise _refused("a bare name")
    return value


def _tuple_of(items):
    """Finished where it is made, so that depth and shared parts cost nothing later."""
    if any(v is _MARK for v in items):
        raise _refused("a byte code without its value")
    items = tuple(v.value if isinstance(v, _Array) and v.value is not None else v for v in items)
    return _Unfinished(items) if any(isinstance(v, (_Name, _DType, _Array, _Unfinished)) for v in items) else items


class _Reader:
    def __init__(self, data):
        self.data, self.at, self.stack, self.memo = data, 0, [], {}

    def take(self, n):
        if n < 0 or self.at + n > len(self.data):
            raise ValueError("the file ends too early")
        self.at += n
        return bytes(self.data[self.at - n : self.at])

    def line(self):
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise ValueError("the file ends too early")
        out, self.at = self.data[self.at : end], end + 1
        return out

    def number(self, layout):
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def since_mark(self):
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is _MARK:
                items, self.stack[i:] = self.stack[i + 1 :], []
                return items
        raise _refused("a byte code without its mark")

    def pop(self):
        if not self.stack or self.stack[-1] is _MARK:
            raise _refused("a byte code without its value")
        return self.stack.pop()

    def top(self, kind):
        if not self.stack or type(self.stack[-1]) is not kind:
            raise _refused(f"a byte code that needs a {kind.__name__}")
        return self.stack[-1]

    def name(self, module, name):
        word = _NAMES.get((_text(module), _text(name)))
        if word is None:
            raise _refused(f"the name {_text(module)}.{_text(name)}")
        self.stack.append(_Name(word))

    def reduce(self):
        args, function = self.pop(), self.pop()
        word = function.word if isinstance(function, _Name) else None
        if word == "reconstruct" and isinstance(args, tuple) and args and getattr(args[0], "word", "") == "ndarray":
            self.stack.append(_Array())
        elif word == "dtype" and isinstance(args, tuple) and args and _text(args[0]) in _DTYPES:
            self.stack.append(_DType(_text(args[0])))
        elif word == "encode" and isinstance(args, tuple) and len(args) == 2 and args[1] == "latin1":
            self.stack.append(str(args[0]).encode("latin1"))
        else:
            raise _refused("a call")

    def build(self):
        state = self.pop()
        if not self.stack or not isinstance(self.stack[-1], (_DType, _Array)):
            raise _refused("an object with state")
        self.stack[-1].build(state)

    def set_items(self, items):
        table = self.top(dict)
        if len(items) % 2:
            raise _refused("a key without a value")
        for key, value in zip(items[::2], items[1::2]):
            if not isinstance(key, (str, bytes, int)):
                raise _refused("a key that is no text")
            table[key] = _finished(value)

    def run(self):
        stack = self.stack
        while True:
            code = self.take(1)
            if code in b"KMJ":
                run = _INTS.match(self.data, self.at - 1)
                if run is None:
                    raise ValueError("the file ends too early")
                self.at = run.end()
                unpack = int.from_bytes
                stack.extend(
                    a[0] if a else unpack(b, "little") if b else unpack(c, "little", signed=True)
                    for a, b, c in _INT.findall(run.group())
                )
            elif code == b".":
                return _finished(self.pop())
            else:
                step = _CODES.get(code)
                if step is None:
                    raise _refused(f"the byte code {code!r}")
                step(self)


def _text(value):
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""


def _append(r):
    value = _finished(r.pop())
    r.top(list).append(value)


def _appends(r):
    items = [_finished(v) for v in r.since_mark()]
    r.top(list).extend(items)


def _set_item(r):
    value, key = r.pop(), r.pop()
    r.set_items([key, value])


def _tuple(n):
    def step(r):
        if len(r.stack) < n:
            raise _refused("a byte code without its value")
        r.stack[len(r.stack) - n :] = [_tuple_of(r.stack[len(r.stack) - n :])]

    return step


def _put(layout):
    def step(r):
        if not r.stack:
            raise _refused("a byte code without its value")
        r.memo[len(r.memo) if layout is None else r.number(layout)] = r.stack[-1]

    return step


def _get(layout):
    def step(r):
        key = r.number(layout)
        if key not in r.memo:
            raise _refused("a reference to nothing")
        r.stack.append(r.memo[key])

    return step


def _push(make):
    return lambda r: r.stack.append(make(r))


def _long(r):
    return int.from_bytes(r.take(r.number("<B")), "little", signed=True)


_CODES = {
    b"\x80": lambda r: r.take(1), b"\x95": lambda r: r.take(8),
    b"(": _push(lambda r: _MARK), b"}": _push(lambda r: {}), b"]": _push(lambda r: []), b")": _push(lambda r: ()),
    b"N": _push(lambda r: None), b"\x88": _push(lambda r: True), b"\x89": _push(lambda r: False),
    b"G": _push(lambda r: r.number(">d")), b"\x8a": _push(_long),
    b"U": _push(lambda r: r.take(r.number("<B"))), b"T": _push(lambda r: r.take(r.number("<i"))),
    b"C": _push(lambda r: r.take(r.number("<B"))), b"B": _push(lambda r: r.take(r.number("<I"))),
    b"\x8e": _push(lambda r: r.take(r.number("<Q"))),
    b"X": _push(lambda r: r.take(r.number("<I")).decode("utf-8", "surrogatepass")),
    b"\x8c": _push(lambda r: r.take(r.number("<B")).decode("utf-8", "surrogatepass")),
    b"t": _push(lambda r: _tuple_of(r.since_mark())), b"\x85": _tuple(1), b"\x86": _tuple(2), b"\x87": _tuple(3),
    b"q": _put("<B"), b"r": _put("<I"), b"\x94": _put(None), b"h": _get("<B"), b"j": _get("<I"),
    b"a": _append, b"e": _appends, b"s": _set_item, b"u": lambda r: r.set_items(r.since_mark()),
    b"c": lambda r: r.name(r.line(), r.line()), b"\x93": lambda r: r.name(*[r.pop(), r.pop()][::-1]),
    b"R": _Reader.reduce, b"b": _Reader.build,
}  # fmt: skip


def read_pickle(data):
    """The plain value that a pickle of protocol 2 to 4 describes.

    Args:
        data: bytes.

    Returns:
        Numbers, bytes, str, lists, tuples, dicts and NumPy arrays.

    Raises:
        ValueError: for anything else in it, or a damaged file.
    """
    return _Reader(bytes(data)).run()


def read_npz(path):
    """dict of the arrays of a `.npz` file; those of Python objects are read by `read_pickle`."""
    import io
    import zipfile

    found = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            data = io.BytesIO(archive.read(member))
            version = np.lib.format.read_magic(data)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(data)
            if dtype.hasobject:
                array = read_pickle(data.read())
                if not isinstance(array, np.ndarray) or array.shape != shape:
                    raise ValueError(f"{path}: {member!r} must be an array of shape {shape}, received another value")
            else:
                data.seek(0)
                array = np.lib.format.read_array(data, allow_pickle=False)
            found[member.removesuffix(".npy")] = array
    return found

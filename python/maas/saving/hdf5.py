"""One hardened opener for every HDF5 file we read.

The whole tree is checked before any data is read: link types, storage layout, filters, declared against stored sizes,
names, depth and counts. What Keras writes passes: groups, plain datasets (contiguous, or chunked with gzip and
shuffle), string and number attributes, every object linked once.
"""

import contextlib
import math

import numpy as np

from maas.saving import limits
from maas.saving.files import HDF5_MAGIC, MemoryFile, describe
from maas.saving.hdf5_text import check_superblock, check_text_lengths

# What HDF5 lacks is stored as opaque bytes; the attribute "dtype" says what they are (Keras writes it for bfloat16).
OPAQUE = {"bfloat16": "V2", "float8_e4m3fn": "V1", "float8_e5m2": "V1", "int4": "V1"}
_NUMBER_TYPES = frozenset(["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1", "V1", "V2"])


def import_h5py():
    """h5py, imported on first use, since it costs more than the rest of `import maas`."""
    try:
        import h5py
    except ImportError as e:
        raise ImportError("HDF5 files need h5py: pip install h5py") from e
    return h5py


def _fail(text):
    raise ValueError(f"damaged or hostile HDF5 file: {text}")


def _check_name(raw, parent):
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        _fail(f"a name in '{parent}' is not UTF-8")
    if not name or name in (".", "..") or "/" in name or "\\" in name or len(raw) > limits.MAX_NAME_BYTES:
        _fail(f"a name in '{parent}' is not allowed, received {name[:80]!r}")
    if any(ord(c) < 32 or ord(c) == 127 for c in name):
        _fail(f"a name in '{parent}' has control characters, received {name[:80]!r}")
    return name


def _check_filters(h5py, plist, path):
    """Only gzip and shuffle. Returns whether the data is compressed."""
    compressed = False
    for i in range(plist.get_nfilters()):
        code = plist.get_filter(i)[0]
        if code == h5py.h5z.FILTER_DEFLATE:
            compressed = True
        elif code != h5py.h5z.FILTER_SHUFFLE:
            # Any other filter may be a plugin, that is, code loaded from disk.
            _fail(f"dataset '{path}' uses filter {code}; only gzip and shuffle are allowed")
    return compressed


def _check_dataset(h5py, dataset, path, file_bytes):
    """Check one dataset's header. Returns (shape, dtype, bytes in memory)."""
    plist = dataset.get_create_plist()
    layout = plist.get_layout()
    if layout == getattr(h5py.h5d, "VIRTUAL", 3):
        _fail(f"dataset '{path}' is virtual: it would read other files")
    if layout not in (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED):
        _fail(f"dataset '{path}' has an unknown storage layout {layout}")
    if plist.get_external_count():
        _fail(f"dataset '{path}' has external storage: it would read other files")
    if dataset.get_type().get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.OPAQUE):
        _fail(f"dataset '{path}' does not hold numbers")
    dtype = dataset.dtype
    if f"{dtype.kind}{dtype.itemsize}" not in _NUMBER_TYPES:
        _fail(f"dataset '{path}' has dtype {dtype}, which is not a tensor's")
    space = dataset.get_space()
    if space.get_simple_extent_type() == h5py.h5s.NULL:
        _fail(f"dataset '{path}' has no shape")
    shape = tuple(int(n) for n in space.get_simple_extent_dims())
    if len(shape) > limits.MAX_HDF5_RANK:
        _fail(f"dataset '{path}' has rank {len(shape)}, at most {limits.MAX_HDF5_RANK} is allowed")
    # Python integers: no overflow for sizes such as 2**40 by 2**40.
    declared = math.prod(shape) * dtype.itemsize
    stored = dataset.get_storage_size()
    if stored > file_bytes:
        _fail(f"dataset '{path}' claims {stored} stored bytes in a file of {file_bytes}")
    compressed = _check_filters(h5py, plist, path)
    allowed = stored * limits.MAX_EXPANSION if compressed else stored
    if declared > allowed:
        _fail(f"dataset '{path}' of shape {shape} and dtype {dtype} declares {declared} bytes but stores {stored}")
    if layout == h5py.h5d.CHUNKED:
        # A chunk is unpacked whole, so it must not be much larger than what it is a part of.
        chunk = math.prod(int(n) for n in plist.get_chunk()) * dtype.itemsize
        if chunk > max(2 * declared, 1 << 20):
            _fail(f"dataset '{path}' has chunks of {chunk} bytes for {declared} bytes of data")
    return shape, dtype, declared


def _check_attributes(h5py, obj, path):
    count = h5py.h5a.get_num_attrs(obj)
    if count > limits.MAX_HDF5_ATTRIBUTES:
        _fail(f"'{path}' has {count} attributes, at most {limits.MAX_HDF5_ATTRIBUTES} are allowed")
    for i in range(count):
        attribute = h5py.h5a.open(obj, index=i)
        _check_name(attribute.name, path)
        kind = attribute.get_type().get_class()
        if kind not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM):
            _fail(f"an attribute of '{path}' is neither text nor numbers")
        space = attribute.get_space()
        shape = () if space.get_simple_extent_type() == h5py.h5s.NULL else attribute.shape
        size = math.prod(int(n) for n in shape) * max(1, attribute.get_type().get_size())
        if len(shape) > 1 or size > limits.MAX_ATTRIBUTE_BYTES:
            _fail(f"an attribute of '{path}' of shape {shape} declares {size} bytes")


@contextlib.contextmanager
def _readable_errors():
    """What h5py raises for broken structures, as ValueError; our own passes."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, TypeError, OverflowError, UnicodeDecodeError, AttributeError) as e:
        raise ValueError(f"damaged or hostile HDF5 file: {type(e).__name__}: {e}") from e


class Dataset:
    """A checked dataset: `path`, `shape`, `dtype` (a name, also one that NumPy lacks), and `read()`."""

    def __init__(self, handle, path, shape, dtype):
        self._handle = handle
        self.path = path
        self.shape = shape
        self._numpy_dtype = dtype
        self.attributes = {}
        self.dtype = dtype.name
        self.itemsize = dtype.itemsize

    def read(self):
        """The values as a new NumPy array, in the dtype that holds every value of one that NumPy lacks."""
        raw = self.read_raw()
        if self.dtype not in OPAQUE:
            return raw
        if self.dtype == "int4":
            return raw.view(np.int8)
        from maas import _core

        tensor = _core.Tensor.from_stored_bytes(raw.reshape(-1).view(np.uint8), self.shape, self.dtype)
        return _core.cast(tensor, dtype="float32").numpy()

    def read_raw(self):
        """The values as stored."""
        out = np.empty(self.shape, self._numpy_dtype)
        if out.size:
            h5py = import_h5py()
            with _readable_errors():
                self._handle.read(h5py.h5s.ALL, h5py.h5s.ALL, out, mtype=self._handle.get_type())
        return out.astype(self._numpy_dtype.newbyteorder("="), copy=False) if out.dtype.kind != "V" else out


class Tree:
    """The checked content of one HDF5 file.

    Attributes:
        groups: dict of path to a dict of attributes; the root is "".
        datasets: dict of path to `Dataset`.
    """

    def __init__(self):
        self.groups = {}
        self.datasets = {}
        self._children = {}

    def children(self, path):
        """dict of name to `Dataset` for the datasets directly in one group."""
        return self._children.get(path, {})

    @property
    def nbytes(self):
        """Bytes of all datasets in memory."""
        return sum(math.prod(d.shape) * d.itemsize for d in self.datasets.values())

    def index(self):
        """Fill the table of `children`; returns the tree."""
        self._children = {}
        for path, dataset in self.datasets.items():
            parent, _, name = path.rpartition("/")
            self._children.setdefault(parent, {})[name] = dataset
        return self


def _scan(h5py, file, view):
    file_bytes = len(view)
    tree, seen, heaps = Tree(), set(), {}
    total, budget = 0, file_bytes * limits.MAX_TOTAL_EXPANSION + limits.EXPANSION_SLACK
    todo = [("", file.id)]
    while todo:
        path, handle = todo.pop()
        group = h5py.h5g.open(handle, b"/") if path == "" else handle
        _check_attributes(h5py, group, path)
        check_text_lengths(view, h5py.h5o.get_info(group).addr, heaps)
        tree.groups[path] = _read_attributes(h5py, group, path)
        if path.count("/") >= limits.MAX_HDF5_DEPTH:
            _fail(f"groups are nested more than {limits.MAX_HDF5_DEPTH} deep")
        for i in range(group.get_num_objs()):
            raw = group.get_objname_by_idx(i)
            name = _check_name(raw, path)
            if group.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
                _fail(f"'{name}' in '{path}' is a soft or external link")
            child = h5py.h5o.open(group, raw)
            where = f"{path}/{name}" if path else name
            info = h5py.h5o.get_info(child)
            if info.addr in seen:
                _fail(f"'{where}' is linked twice")
            seen.add(info.addr)
            if len(seen) > limits.MAX_HDF5_OBJECTS:
                _fail(f"more than {limits.MAX_HDF5_OBJECTS} objects")
            if isinstance(child, h5py.h5g.GroupID):
                todo.append((where, child))
            elif isinstance(child, h5py.h5d.DatasetID):
                shape, dtype, declared = _check_dataset(h5py, child, where, file_bytes)
                total += declared
                if total > budget:
                    _fail(f"datasets declare more than {budget} bytes in a file of {file_bytes}")
                _check_attributes(h5py, child, where)
                check_text_lengths(view, info.addr, heaps)
                dataset = tree.datasets[where] = Dataset(child, where, shape, dtype)
                dataset.attributes = _read_attributes(h5py, child, where)
                if dtype.kind == "V":
                    mark = dataset.attributes.get("dtype")
                    if not isinstance(mark, str) or OPAQUE.get(mark) != f"V{dtype.itemsize}":
                        _fail(f"dataset '{where}' is opaque and not marked as one of {', '.join(OPAQUE)}")
                    dataset.dtype = mark
            else:
                _fail(f"'{where}' is neither a group nor a dataset")
    return tree.index()


def _text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _read_attributes(h5py, obj, path):
    """Attributes as str, number, or list of them."""
    out = {}
    # The low-level id is wrapped by h5py's own reader of strings; sizes were checked before.
    wrapper = h5py.Dataset(obj) if isinstance(obj, h5py.h5d.DatasetID) else h5py.Group(obj)
    for name in wrapper.attrs:
        value = wrapper.attrs[name]
        if isinstance(value, h5py.Empty):
            value = []
        elif isinstance(value, np.ndarray):
            value = [_text(v) for v in value.tolist()]
        elif isinstance(value, np.generic):
            value = _text(value.item())
        else:
            value = _text(value)
        size = sum(len(v) for v in value if isinstance(v, str)) if isinstance(value, list) else 0
        if size > limits.MAX_ATTRIBUTE_BYTES or (isinstance(value, str) and len(value) > limits.MAX_ATTRIBUTE_BYTES):
            _fail(f"attribute '{name}' of '{path}' is larger than {limits.MAX_ATTRIBUTE_BYTES} bytes")
        out[name] = value
    return out


@contextlib.contextmanager
def open_hdf5(data):
    """Check an HDF5 file held in memory and give its `Tree`.

    Args:
        data: bytes or memoryview of the whole file.

    Raises:
        ValueError: for a damaged file and for everything that Keras does not write: soft, external and repeated links,
            virtual and external datasets, filters other than gzip and shuffle, sizes that the file cannot hold.
        ImportError: if h5py is not installed.
    """
    if bytes(data[:8]) != HDF5_MAGIC:
        raise ValueError(f"expected an HDF5 file, received {describe(bytes(data[:8]))}")
    h5py = import_h5py()
    view = memoryview(data)
    if len(view) < 96:
        _fail("too short")
    check_superblock(view)
    with contextlib.ExitStack() as stack:
        with _readable_errors():
            file = stack.enter_context(h5py.File(MemoryFile(view), "r"))
            tree = _scan(h5py, file, view)
        yield tree

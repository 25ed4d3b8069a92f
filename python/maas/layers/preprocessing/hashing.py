"""Hashes of strings as TensorFlow computes them, and the layers Hashing and HashedCrossing.

They run outside of the Graph.
"""

import numpy as np

from maas.layers.layer import Layer
from maas.layers.preprocessing.encoding import MODES, check_mode, encode, encoded_shape, refuse_sparse

_MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def _word(s, i, n=8):
    return int.from_bytes(s[i : i + n], "little")


def _rotate(v, n):
    return ((v >> n) | (v << (64 - n))) & _MASK if n else v


def _mix(v):
    return v ^ (v >> 47)


def _hash16(u, v, mul):
    a = _mix(((u ^ v) * mul) & _MASK)
    return (_mix(((v ^ a) * mul) & _MASK) * mul) & _MASK


def _up_to_16(s):
    n = len(s)
    mul = (_K2 + n * 2) & _MASK
    if n >= 8:
        a, b = (_word(s, 0) + _K2) & _MASK, _word(s, n - 8)
        c, d = (_rotate(b, 37) * mul + a) & _MASK, ((_rotate(a, 25) + b) * mul) & _MASK
        return _hash16(c, d, mul)
    if n >= 4:
        return _hash16(n + (_word(s, 0, 4) << 3), _word(s, n - 4, 4), mul)
    if n > 0:
        y, z = s[0] + (s[n >> 1] << 8), n + (s[n - 1] << 2)
        return (_mix((y * _K2 ^ z * _K0) & _MASK) * _K2) & _MASK
    return _K2


def _up_to_32(s):
    n = len(s)
    mul = (_K2 + n * 2) & _MASK
    a, b = (_word(s, 0) * _K1) & _MASK, _word(s, 8)
    c, d = (_word(s, n - 8) * mul) & _MASK, (_word(s, n - 16) * _K2) & _MASK
    u = (_rotate((a + b) & _MASK, 43) + _rotate(c, 30) + d) & _MASK
    return _hash16(u, (a + _rotate((b + _K2) & _MASK, 18) + c) & _MASK, mul)


def _up_to_64(s):
    n = len(s)
    mul = (_K2 + n * 2) & _MASK
    a, b = (_word(s, 0) * _K2) & _MASK, _word(s, 8)
    c, d = (_word(s, n - 8) * mul) & _MASK, (_word(s, n - 16) * _K2) & _MASK
    y = (_rotate((a + b) & _MASK, 43) + _rotate(c, 30) + d) & _MASK
    z = _hash16(y, (a + _rotate((b + _K2) & _MASK, 18) + c) & _MASK, mul)
    e, f = (_word(s, 16) * mul) & _MASK, _word(s, 24)
    g, h = ((y + _word(s, n - 32)) * mul) & _MASK, ((z + _word(s, n - 24)) * mul) & _MASK
    u = (_rotate((e + f) & _MASK, 43) + _rotate(g, 30) + h) & _MASK
    return _hash16(u, (e + _rotate((f + a) & _MASK, 18) + g) & _MASK, mul)


def _weak(s, i, a, b):
    w, x, y, z = (_word(s, i + 8 * k) for k in range(4))
    a = (a + w) & _MASK
    b = _rotate((b + a + z) & _MASK, 21)
    c = a
    a = (a + x + y) & _MASK
    b = (b + _rotate(a, 44)) & _MASK
    return (a + z) & _MASK, (b + c) & _MASK


def fingerprint64(s):
    """64-bit fingerprint of bytes.

    Reference: Pike, 2014, "FarmHash, a family of hash functions" (Fingerprint64).
    """
    n = len(s)
    if n <= 16:
        return _up_to_16(s)
    if n <= 32:
        return _up_to_32(s)
    if n <= 64:
        return _up_to_64(s)
    x, y = 81, (81 * _K1 + 113) & _MASK
    z = (_mix((y * _K2 + 113) & _MASK) * _K2) & _MASK
    v, w = (0, 0), (0, 0)
    x = (x * _K2 + _word(s, 0)) & _MASK
    end = ((n - 1) // 64) * 64
    last = n - 64
    for i in range(0, end, 64):
        x = (_rotate((x + y + v[0] + _word(s, i + 8)) & _MASK, 37) * _K1) & _MASK
        y = (_rotate((y + v[1] + _word(s, i + 48)) & _MASK, 42) * _K1) & _MASK
        x ^= w[1]
        y = (y + v[0] + _word(s, i + 40)) & _MASK
        z = (_rotate((z + w[0]) & _MASK, 33) * _K1) & _MASK
        v = _weak(s, i, (v[1] * _K1) & _MASK, (x + w[0]) & _MASK)
        w = _weak(s, i + 32, (z + w[1]) & _MASK, (y + _word(s, i + 16)) & _MASK)
        z, x = x, z
    mul = (_K1 + ((z & 0xFF) << 1)) & _MASK
    w = ((w[0] + ((n - 1) & 63)) & _MASK, w[1])
    v = ((v[0] + w[0]) & _MASK, v[1])
    w = ((w[0] + v[0]) & _MASK, w[1])
    x = (_rotate((x + y + v[0] + _word(s, last + 8)) & _MASK, 37) * mul) & _MASK
    y = (_rotate((y + v[1] + _word(s, last + 48)) & _MASK, 42) * mul) & _MASK
    x ^= (w[1] * 9) & _MASK
    y = (y + v[0] * 9 + _word(s, last + 40)) & _MASK
    z = (_rotate((z + w[0]) & _MASK, 33) * mul) & _MASK
    v = _weak(s, last, (v[1] * mul) & _MASK, (x + w[0]) & _MASK)
    w = _weak(s, last + 32, (z + w[1]) & _MASK, (y + _word(s, last + 16)) & _MASK)
    z, x = x, z
    first = (_hash16(v[0], w[0], mul) + _mix(y) * _K0 + z) & _MASK
    return _hash16(first, (_hash16(v[1], w[1], mul) + x) & _MASK, mul)


def siphash24(key, s):
    """64-bit keyed hash of bytes.

    Reference: Aumasson and Bernstein, 2012, "SipHash: a fast short-input PRF".
    """
    k0, k1 = (k & _MASK for k in key)
    v0, v1 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    v2, v3 = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573

    def rounds(count):
        nonlocal v0, v1, v2, v3
        for _ in range(count):
            v0, v2 = (v0 + v1) & _MASK, (v2 + v3) & _MASK
            v1, v3 = _rotate(v1, 51) ^ v0, _rotate(v3, 48) ^ v2
            v0 = _rotate(v0, 32)
            v2, v0 = (v2 + v1) & _MASK, (v0 + v3) & _MASK
            v1, v3 = _rotate(v1, 47) ^ v2, _rotate(v3, 43) ^ v0
            v2 = _rotate(v2, 32)

    n = len(s)
    for i in range(0, n - 7, 8):
        m = _word(s, i)
        v3 ^= m
        rounds(2)
        v0 ^= m
    m = ((n & 0xFF) << 56) | int.from_bytes(s[n - n % 8 :], "little")
    v3 ^= m
    rounds(2)
    v0 ^= m
    v2 ^= 0xFF
    rounds(4)
    return v0 ^ v1 ^ v2 ^ v3


def hash_bucket(text, buckets, salt=None):
    """One of `buckets` for a str: by fingerprint, or by SipHash where there is a salt."""
    s = text.encode("utf-8", "surrogateescape")
    return (fingerprint64(s) if salt is None else siphash24(salt, s)) % buckets


def _join(a, b):
    """Fingerprint of two fingerprints."""
    mul = 0xC6A4A7935BD1E995
    r = (a ^ mul) ^ ((_mix((b * mul) & _MASK) * mul) & _MASK)
    r = (_mix((r * mul) & _MASK) * mul) & _MASK
    return _mix(r)


def check_salt(owner, salt):
    """A salt as a list of two ints, or None.

    Raises:
        ValueError: for anything but an int or two.
    """
    if salt is None:
        return None
    if isinstance(salt, int) and not isinstance(salt, bool):
        return [salt, salt]
    if isinstance(salt, (list, tuple)) and len(salt) == 2 and all(isinstance(v, int) for v in salt):
        return list(salt)
    raise ValueError(f"{owner}: `salt` must be an int or two ints, received salt={salt!r}")


def _values(inputs, owner):
    """NumPy array of int64 or object (str) from what users pass."""
    x = np.asarray(inputs)
    if x.dtype.kind in "US":
        return x.astype(object)
    if x.dtype.kind == "O":
        for v in x.ravel():
            if not isinstance(v, (str, bytes, int, float, np.number)):
                raise TypeError(f"{owner}: inputs must be strings or integers, received {v!r} of {type(v).__name__}")
        return x
    if x.dtype.kind in "iufb":
        return x.astype("int64")
    raise TypeError(f"{owner}: inputs must be strings or integers, received dtype {x.dtype}")


def _text(v):
    return v.decode("utf-8", "surrogateescape") if isinstance(v, bytes) else str(v)


class _Hashed(Layer):
    """Base of layers that hash, outside of the Graph."""

    def _settings(self, num_bins, output_mode, sparse, modes):
        if num_bins is None or isinstance(num_bins, bool) or num_bins <= 0:
            raise ValueError(f"{self._label()}: `num_bins` must be a positive int, received num_bins={num_bins}")
        refuse_sparse(self._label(), sparse)
        self.num_bins, self.sparse = num_bins, sparse
        self.output_mode = check_mode(self._label(), output_mode, modes)
        if self.output_mode == "int" and self.dtype_policy.name not in ("int32", "int64"):
            raise ValueError(
                f"{self._label()}: with output_mode='int' `dtype` must be 'int32' or 'int64', received "
                f"{self.dtype_policy.name!r}"
            )
        self._convert_input_args, self._allow_non_tensor_positional_args = False, True
        self._build_at_init()

    def _refuse_trace(self, *inputs):
        if any(getattr(x, "is_symbolic", False) for x in inputs):
            raise NotImplementedError(
                f"{self._label()}: hashing runs outside of the Graph: apply the layer to the data first, received a "
                f"traced call"
            )

    def _encoded(self, bins):
        from maas import ops

        indices = ops.convert_to_tensor(np.asarray(bins, "int64"))
        return encode(indices, self.output_mode, self.num_bins, self.compute_dtype)


class Hashing(_Hashed):
    """Strings or integers to one of `num_bins` bins by a hash, without a vocabulary.

    It runs outside of the Graph: apply it to the data.

    Args:
        num_bins: int, number of bins, the one of `mask_value` included.
        mask_value: str, bytes or int that goes to bin 0, which then holds nothing else.
        salt: int or two ints; with it SipHash is used, else FarmHash.
        output_mode: "int", "one_hot", "multi_hot" or "count".
        sparse: bool; only False.

    Raises:
        ValueError: for arguments that do not fit.
    Reference: Weinberger et al., 2009, "Feature hashing for large scale multitask learning".
    """

    def __init__(self, num_bins, mask_value=None, salt=None, output_mode="int", sparse=False, **kwargs):
        from maas.backend.config import floatx

        if kwargs.get("dtype") is None:
            kwargs["dtype"] = "int64" if output_mode == "int" else floatx()
        super().__init__(**kwargs)
        self._settings(num_bins, output_mode, sparse, MODES)
        mask_value = _text(mask_value) if isinstance(mask_value, bytes) else mask_value
        self.mask_value, self.salt = mask_value, check_salt(self._label(), salt)

    def call(self, inputs):
        self._refuse_trace(inputs)
        x = _values(inputs, self._label())
        masks = self.mask_value is not None and self.num_bins > 1
        bins = self.num_bins - 1 if masks else self.num_bins
        flat = []
        for v in x.ravel().tolist():
            text = _text(v)
            if masks and text == str(self.mask_value):
                flat.append(0)
            else:
                flat.append(hash_bucket(text, bins, self.salt) + masks)
        return self._encoded(np.asarray(flat, "int64").reshape(x.shape))

    def compute_output_shape(self, input_shape):
        return encoded_shape(input_shape, self.output_mode, self.num_bins)

    def get_config(self):
        own = {
            "num_bins": self.num_bins,
            "salt": self.salt,
            "mask_value": self.mask_value,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
        }
        return {**super().get_config(), **own}


class HashedCrossing(_Hashed):
    """Combinations of several features to one of `num_bins` bins by a hash.

    It runs outside of the Graph: apply it to the data.

    Args:
        num_bins: int.
        output_mode: "int" or "one_hot".
        sparse: bool; only False.

    Raises:
        ValueError: for arguments or inputs that do not fit.
    """

    def __init__(self, num_bins, output_mode="int", sparse=False, name=None, dtype=None, **kwargs):
        super().__init__(name=name, dtype="int64" if output_mode == "int" and dtype is None else dtype, **kwargs)
        self._settings(num_bins, output_mode, sparse, ("int", "one_hot"))

    def call(self, inputs):
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            raise ValueError(f"{self._label()}: inputs must be a list of two or more features, received {inputs!r}")
        self._refuse_trace(*inputs)
        columns = [_values(x, self._label()) for x in inputs]
        shape = columns[0].shape
        if any(c.shape != shape for c in columns) or len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
            raise ValueError(
                f"{self._label()}: features must have one shape, (), (batch,) or (batch, 1), received "
                f"{[c.shape for c in columns]}"
            )
        bins = []
        for row in zip(*(c.ravel().tolist() for c in columns)):
            joined = 0xDECAFCAFFE
            for v in row:
                joined = _join(joined, v & _MASK if isinstance(v, int) else fingerprint64(_text(v).encode()))
            bins.append(joined % self.num_bins)
        return self._encoded(np.asarray(bins, "int64").reshape(shape))

    def compute_output_shape(self, input_shape):
        if len(input_shape) < 2 or any(tuple(s) != tuple(input_shape[0]) for s in input_shape):
            raise ValueError(
                f"{self._label()}: inputs must be two or more features of one shape, received {input_shape}"
            )
        return encoded_shape(input_shape[0], self.output_mode, self.num_bins)

    def get_config(self):
        return {
            "num_bins": self.num_bins, "output_mode": self.output_mode, "sparse": self.sparse, "name": self.name,
            "dtype": self.dtype,
        }  # fmt: skip

"""Messages of protobuf without the package: numbers, and fields written and read.

Reference: protobuf.dev/programming-guides/encoding.
"""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types


def varint(n):
    """A whole number as protobuf writes it; one below 0 as the 64 bits that it has."""
    out = bytearray()
    n &= (1 << 64) - 1
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def key_of(number, kind):
    """What comes before the value of a field."""
    return varint(number << 3 | kind)


def head(number, size):
    """What comes before the `size` bytes of a field."""
    return key_of(number, BYTES) + varint(size)


def bytes_field(number, data):
    """A field of bytes: a text, a message or packed numbers."""
    return head(number, len(data)) + data


def int_field(number, n):
    """A field of a whole number."""
    return key_of(number, VARINT) + varint(n)


def read_varint(data, at):
    """`(number, where it ends)`.

    Raises:
        ValueError: for a number that does not end, or of more than 64 bits.
    """
    value = shift = 0
    for end in range(at, min(at + 10, len(data))):
        value |= (data[end] & 127) << shift
        if data[end] < 128:
            return value, end + 1
        shift += 7
    raise ValueError(f"protobuf: a number must end within 10 bytes, received {bytes(data[at : at + 10])!r}")


def varints(data):
    """The whole numbers of a packed field, with a sign."""
    found, at = [], 0
    while at < len(data):
        value, at = read_varint(data, at)
        found.append(value - (1 << 64) if value >> 63 else value)
    return found


def fields(data):
    """`(number, value)` of every field of a message: an int of a varint, bytes of all others.

    Raises:
        ValueError: for bytes that are no message.
    """
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        kind = key & 7
        if kind == VARINT:
            value, at = read_varint(data, at)
        elif kind in (FIXED64, BYTES, FIXED32):
            size, at = read_varint(data, at) if kind == BYTES else (8 if kind == FIXED64 else 4, at)
            if size > len(data) - at:
                raise ValueError(f"protobuf: field {key >> 3} must lie within its message, received {size} bytes")
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"protobuf: field {key >> 3} must have wire type 0, 1, 2 or 5, received {kind}")
        yield key >> 3, value

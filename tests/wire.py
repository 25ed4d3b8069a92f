"""Messages of protobuf by hand, apart from `maas.utils.protobuf`: what tests send, and read of what was written."""


def varint(v):
    out = b""
    v &= 2**64 - 1
    while v >= 0x80:
        out += bytes([v & 0x7F | 0x80])
        v >>= 7
    return out + bytes([v])


def field(number, value):
    """A field of a message: bytes or text with their length, a whole number as it is."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def parse(message):
    """dict of field number to list of raw values of a message."""
    found, at = {}, 0

    def take():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = take()
        size = {1: 8, 5: 4}.get(key & 7)
        if key & 7 == 0:
            value = take()
        else:
            size = take() if key & 7 == 2 else size
            value, at = message[at : at + size], at + size
        found.setdefault(key >> 3, []).append(value)
    return found

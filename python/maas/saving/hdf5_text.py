"""A check of variable-length text before the HDF5 library reads it.

Such an attribute stores (length, heap address, index) for each string. The library takes memory for `length` bytes, up
to 4 GiB each, before it looks into the heap; so the lengths are compared with the heap's objects first. This reads
object headers (versions 1 and 2), attribute messages and global heaps as laid out in the HDF5 File Format
Specification, version 3.0.
"""

import struct

_ATTRIBUTE, _CONTINUATION, _ATTRIBUTE_INFO = 0x0C, 0x10, 0x15
_UNDEFINED = 0xFFFFFFFFFFFFFFFF
_VARIABLE_LENGTH = 9


def _fail(text):
    raise ValueError(f"damaged or hostile HDF5 file: {text}")


def check_superblock(view):
    """64-bit addresses that count from the start of the file: what all writers of model files use."""
    version = view[8]
    if version in (0, 1):
        sizes, base = view[13:15], int.from_bytes(view[24 + 4 * version : 32 + 4 * version], "little")
    elif version in (2, 3):
        sizes, base = view[9:11], int.from_bytes(view[12:20], "little")
    else:
        _fail(f"superblock version {version}")
    if bytes(sizes) != b"\x08\x08" or base != 0:
        _fail("addresses are not 64-bit, or do not count from the start of the file")


def heap_objects(view, address):
    """dict of index to size of one global heap; None if it cannot be walked to its end.

    A heap is a header of 16 bytes (magic, version, size), then objects of 16 bytes (index, references, size) and their
    data, padded to 8 bytes. HDF5 2.0 loops for ever on an object that does not advance the walk.
    """
    if address + 16 > len(view) or view[address : address + 4] != b"GCOL" or view[address + 4] != 1:
        return None
    length = int.from_bytes(view[address + 8 : address + 16], "little")
    end, position, found = address + length, address + 16, {}
    if length < 16 or end > len(view):
        return None
    while position + 16 <= end:
        index, _, size = struct.unpack_from("<HH4xQ", view, position)
        if index == 0:
            # Free space: its size counts its own header, and it is the last object.
            return found if size == end - position else None
        found[index] = size
        position += 16 + (size + 7) // 8 * 8
    return found if position <= end else None


def _messages(view, address):
    """(type, data) of the messages of one object header."""
    if view[address : address + 4] == b"OHDR":
        flags = view[address + 5]
        start = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(view[start : start + width], "little")
        blocks, head, wide = [(start + width, size)], (6 if flags & 4 else 4), True
    elif view[address] == 1:
        blocks, head, wide = [(address + 16, int.from_bytes(view[address + 8 : address + 12], "little"))], 8, False
    else:
        _fail("unknown version of an object header")
    done = 0
    while done < len(blocks):
        position, size = blocks[done]
        done += 1
        end = position + size
        if end > len(view) or done > 1000:
            _fail("object header runs over its end")
        while position + head <= end:
            if wide:
                kind, length, flags = (
                    view[position],
                    int.from_bytes(view[position + 1 : position + 3], "little"),
                    view[position + 3],
                )
            else:
                kind, length, flags = struct.unpack_from("<HHB", view, position)
            data = view[position + head : position + head + length]
            position += head + length
            if position > end:
                break  # a gap at the end of a version 2 block
            if kind == _CONTINUATION and length >= 16:
                where, size = struct.unpack_from("<QQ", data)
                blocks.append((where + 4, max(0, size - 8)) if wide else (where, size))
            yield kind, flags, data


def _attribute_text(data):
    """The (length, address, index) records of one attribute message; () if it is not variable-length."""
    version, flags, name, dtype, space = struct.unpack_from("<BBHHH", data)
    if version not in (1, 2, 3) or (version > 1 and flags):
        _fail("attribute of an unknown version, or with a shared type")
    position = 8 + (version == 3)
    if version == 1:
        name, dtype, space = ((n + 7) // 8 * 8 for n in (name, dtype, space))
    kind = data[position + name] & 0x0F
    body = data[position + name + dtype + space :]
    return struct.iter_unpack("<IQI", body[: len(body) // 16 * 16]) if kind == _VARIABLE_LENGTH else ()


def check_text_lengths(view, address, heaps):
    """Check every variable-length string in the attributes of the object whose header is at `address`.

    Args:
        view: memoryview of the whole file.
        heaps: dict that keeps the heaps walked so far.

    Raises:
        ValueError: if a string claims another length than the heap stores, or attributes are kept where we do not look.
    """
    try:
        for kind, flags, data in _messages(view, address):
            if kind == _ATTRIBUTE_INFO:
                skip = 2 + (2 if data[1] & 1 else 0)
                if int.from_bytes(data[skip : skip + 8], "little") != _UNDEFINED:
                    _fail("attributes are kept in a fractal heap")
            if kind != _ATTRIBUTE:
                continue
            if flags & 2:
                _fail("a shared attribute")
            for length, heap, index in _attribute_text(data):
                if length == 0:
                    continue
                if heap not in heaps:
                    heaps[heap] = heap_objects(view, heap) or {}
                if heaps[heap].get(index) != length:
                    _fail(f"a string claims {length} bytes that are not stored")
    except (struct.error, IndexError) as e:
        _fail(f"truncated object header ({e})")

"""External data: read only from a plain file beside the model, checked on the opened descriptor."""

import os
import re
import stat


def _number(text, key, where):
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError(f"onnx: {where}: {key} of external data must be a number >= 0, received {text[:40]!r}")
    return int(text)


def read(proto, folder, size):
    """The bytes of a tensor that lie in another file.

    Args:
        proto: TensorProto with external data.
        folder: str, the folder of the model's file; None where there is no file.
        size: int, bytes that shape and dtype need.

    Raises:
        ValueError: if the location is not the name of a plain file in `folder` (no link, no other folder), or offset
            and length do not lie inside it.
    """
    where = f"tensor '{proto.name}'"
    entries = {e.key: e.value for e in proto.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise ValueError(
            f"onnx: {where} lies in a file beside the model, which needs to be loaded from a path, "
            f"received bytes and location {location!r}"
        )
    parts = location.split("/")
    if not location or "\0" in location or "\\" in location or any(p in ("", ".", "..") for p in parts):
        raise ValueError(
            f"onnx: {where}: the location of external data must be a path below the model's folder, "
            f"received {location!r}"
        )
    offset = _number(entries.get("offset", "0"), "offset", where)
    length = _number(entries["length"], "length", where) if "length" in entries else size
    if length != size:
        raise ValueError(f"onnx: {where} needs {size} bytes, received external data of {length} bytes")
    fd = _open_beneath(folder, parts, where, location)
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1:
            raise ValueError(f"onnx: {where}: external data must be a plain file with one name, received {location!r}")
        if offset + length > info.st_size:
            raise ValueError(
                f"onnx: {where}: external data must lie within the {info.st_size} bytes of {location!r}, "
                f"received offset {offset} and length {length}"
            )
        data = bytearray(length)
        view, done = memoryview(data), 0
        while done < length:
            got = os.preadv(fd, [view[done:]], offset + done)
            if not got:
                raise ValueError(f"onnx: {where}: {location!r} became shorter while it was read")
            done += got
        return data
    finally:
        os.close(fd)


def _open_beneath(folder, parts, where, location):
    """Opens `folder/parts` step by step; a link on the way is an error, whenever it is put there."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            below = os.open(part, flags | os.O_DIRECTORY, dir_fd=at)
            os.close(at)
            at = below
        # A pipe must not make the reader wait.
        return os.open(parts[-1], flags | os.O_NONBLOCK, dir_fd=at)
    except OSError as e:
        raise ValueError(
            f"onnx: {where}: external data must be a plain file below the model's folder, not a link, "
            f"received {location!r} ({e.strerror})"
        ) from None
    finally:
        os.close(at)

"""A strict reader and a writer for the zip container of `.keras` files.

Keras stores its members uncompressed, so nothing here inflates anything and a decompression bomb has nothing to work
with. Members are found by their exact names and read as slices of memory; no name is ever used as a path.

Layout read (PKWARE APPNOTE 6.3.10): local headers with data, central directory, end record, optionally zip64 records.
"""

import io
import stat
import struct
import zipfile
import zlib

from maas.saving.files import describe
from maas.saving.limits import MAX_ARCHIVE_MEMBERS, MAX_NAME_BYTES

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_ENCRYPTED_OR_STREAMED = 0x0001 | 0x0008 | 0x0040 | 0x2000


def _fail(text):
    raise ValueError(f"damaged or hostile .keras archive: {text}")


def check_member_name(name):
    """Refuse a member name that could be read as a path, or read differently by another program."""
    if not name or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        _fail(f"member name of {len(name)} characters")
    if not name.isascii() or not name.isprintable() or any(c in name for c in '\\:*?"<>|%;'):
        _fail(f"member name with a character that is not allowed, received {name[:80]!r}")
    for part in name.split("/"):
        if part in ("", ".", "..") or part[0] in "-~ " or part[-1] in ". ":
            _fail(f"member name that is not a plain relative name, received {name[:80]!r}")


def _zip64_field(extra, size, stored_size, offset):
    """Replace fields that say 'see zip64' by the 64-bit ones of the extra field."""
    position, wide = 0, None
    while position + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, position)
        if position + 4 + length > len(extra):
            _fail("extra field runs over its end")
        if tag == 1:
            if wide is not None:
                _fail("two zip64 fields for one member")
            wide = extra[position + 4 : position + 4 + length]
        position += 4 + length
    values = []
    for value in (size, stored_size, offset):
        if value == 0xFFFFFFFF:
            if wide is None or len(wide) < 8:
                _fail("zip64 field missing")
            value, wide = int.from_bytes(wide[:8], "little"), wide[8:]
        values.append(value)
    return values


def _find_directory(view):
    """(number of members, offset, size) of the central directory; it must end where the end records start."""
    if len(view) < _END.size:
        _fail("too short")
    end = len(view) - _END.size
    magic, disk, first_disk, here, count, size, offset, comment = _END.unpack_from(view, end)
    if magic != b"PK\x05\x06" or comment != 0:
        _fail("no end record at the end of the file")
    if disk or first_disk or here != count:
        _fail("spans several disks")
    stop = end
    if 0xFFFF in (count,) or 0xFFFFFFFF in (size, offset):
        if end < _LOCATOR64.size + _END64.size:
            _fail("zip64 records missing")
        magic, disk, at, disks = _LOCATOR64.unpack_from(view, end - _LOCATOR64.size)
        if magic != b"PK\x06\x07" or disk or disks > 1 or at != end - _LOCATOR64.size - _END64.size:
            _fail("zip64 locator is wrong")
        magic, length, _, _, disk, first_disk, here, count, size, offset = _END64.unpack_from(view, at)
        if magic != b"PK\x06\x06" or length != _END64.size - 12 or disk or first_disk or here != count:
            _fail("zip64 end record is wrong")
        stop = at
    if count > MAX_ARCHIVE_MEMBERS:
        _fail(f"{count} members, at most {MAX_ARCHIVE_MEMBERS} are allowed")
    if offset + size != stop:
        _fail("central directory is not where the end record says")
    return count, offset, size


def _check_entry(name, version_made, flags, method, size, stored_size, attributes):
    check_member_name(name)
    if flags & _ENCRYPTED_OR_STREAMED:
        _fail(f"member {name!r} is encrypted or streamed (flags {flags:#x})")
    if method != zipfile.ZIP_STORED:
        _fail(f"member {name!r} is compressed (method {method}); .keras members are stored as they are")
    if size != stored_size:
        _fail(f"member {name!r} declares {size} bytes and stores {stored_size}")
    kind = stat.S_IFMT(attributes >> 16)
    if (version_made >> 8) == 3 and kind not in (0, stat.S_IFREG):
        _fail(f"member {name!r} is a link, folder or device")
    if attributes & 0x10:
        _fail(f"member {name!r} is a folder")


def read_archive(data):
    """Members of a `.keras` archive.

    Args:
        data: bytes of the whole file.

    Returns:
        dict of member name to memoryview of its content, in the order of the file. CRC-32 sums have been checked.

    Raises:
        ValueError: for anything but a plain archive of stored members without gaps, overlaps or repeated names.
    """
    view = memoryview(data)
    if view[:4] != b"PK\x03\x04":
        raise ValueError(f"expected a zip archive (.keras), received {describe(view)}")
    try:
        return _read_members(view)
    except struct.error as e:
        raise ValueError(f"damaged or hostile .keras archive: truncated record ({e})") from None


def _read_members(view):
    count, position, directory_size = _find_directory(view)
    directory_start, directory_end = position, position + directory_size
    members, seen, expected_start = {}, set(), 0
    for _ in range(count):
        fields = _CENTRAL.unpack_from(view, position)
        (magic, made, _, flags, method, _, _, crc, stored, size, n_name, n_extra, n_comment, disk, _, attrs, start) = (
            fields
        )
        position += _CENTRAL.size
        if magic != b"PK\x01\x02" or disk or position + n_name + n_extra + n_comment > directory_end:
            _fail("central directory entry is wrong")
        if n_name > MAX_NAME_BYTES:
            _fail(f"member name of {n_name} bytes")
        raw_name = bytes(view[position : position + n_name])
        extra = bytes(view[position + n_name : position + n_name + n_extra])
        position += n_name + n_extra + n_comment
        size, stored, start = _zip64_field(extra, size, stored, start)
        name = raw_name.decode("utf-8", "surrogateescape")
        _check_entry(name, made, flags, method, size, stored, attrs)
        # Two names that differ in case only are one file on some systems.
        if name.lower() in seen:
            _fail(f"member name appears twice, received {name!r}")
        seen.add(name.lower())
        # Members follow one another without gaps: nothing overlaps and nothing hides in between.
        if start != expected_start:
            _fail(f"member {name!r} starts at {start}, expected {expected_start}")
        local = _LOCAL.unpack_from(view, start)
        magic, _, l_flags, l_method, _, _, l_crc, l_stored, l_size, l_name, l_extra = local
        body = start + _LOCAL.size + l_name + l_extra
        if body + size > directory_start:
            _fail(f"member {name!r} runs over its end")
        local_extra = bytes(view[start + _LOCAL.size + l_name : body])
        l_size, l_stored, _ = _zip64_field(local_extra, l_size, l_stored, 0)
        if magic != b"PK\x03\x04" or bytes(view[start + _LOCAL.size : start + _LOCAL.size + l_name]) != raw_name:
            _fail(f"local header of {name!r} is wrong")
        if (l_flags, l_method, l_crc, l_size, l_stored) != (flags, method, crc, size, stored):
            _fail(f"local header of {name!r} differs from the directory")
        content = view[body : body + size]
        if zlib.crc32(content) != crc:
            _fail(f"checksum of member {name!r} is wrong")
        members[name] = content
        expected_start = body + size
    if expected_start != directory_start or position != directory_end:
        _fail("bytes that belong to no member")
    return members


def write_archive(file, members):
    """Write members, stored, to a binary file object. `members`: dict of name to bytes-like."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            check_member_name(name)
            # A fixed time keeps equal models equal as files; the real one is in metadata.json.
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o600 << 16
            info.file_size = len(content)
            with archive.open(info, "w") as member:
                for begin in range(0, len(content), 1 << 24):
                    member.write(content[begin : begin + (1 << 24)])


def archive_bytes(members):
    """The bytes of an archive; see `write_archive`."""
    file = io.BytesIO()
    write_archive(file, members)
    return file.getvalue()

"""`get_file`: download once, check, and unpack without trusting the archive."""

import contextlib
import gzip
import hashlib
import os
import shutil
import struct
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib

from maas.utils.io_utils import print_msg

_CHUNK = 1 << 20
_TIMEOUT_S = 60
# An archive may unpack to at most so many times its size, plus the slack.
_MAX_EXPANSION = 200
_EXPANSION_SLACK = 1 << 30
_MAX_MEMBERS = 1_000_000
# Contents are read in chunks; a header of a tar file is read as a whole, and says itself how long it is.
_MAX_READ = 4 << 20


def keras_home():
    """The folder of caches: KERAS_HOME, else ~/.keras; shared with Keras."""
    return os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")


def get_file(
    fname=None, origin=None, untar=False, md5_hash=None, file_hash=None, cache_subdir="datasets",
    hash_algorithm="auto", extract=False, archive_format="auto", cache_dir=None, force_download=False,
):  # fmt: skip
    """The path of a file in the cache, downloaded if it is not there.

    Args:
        fname: str, name in the cache; default the last part of `origin`.
        origin: str, address (http, https or file).
        untar: bool, the same as `extract` with archive_format "tar".
        md5_hash: str, the same as `file_hash` with hash_algorithm "md5".
        file_hash: str, sum of the file in hex; a file in the cache with another sum is downloaded again.
        cache_subdir: str, folder in the cache.
        hash_algorithm: "md5", "sha256" or "auto" (by the length of the sum).
        extract: bool, whether to unpack a tar or zip archive. Names that leave the folder, links and devices in it are
            an error.
        archive_format: "auto", "tar", "zip", a list of them, or None.
        cache_dir: str, the folder of the cache, default KERAS_HOME or ~/.keras.
        force_download: bool.

    Returns:
        str: path of the file, or of the folder it was unpacked to.

    Raises:
        ValueError: for a wrong argument, a sum that does not match, or a hostile archive.
        OSError: if the download fails; what was in the cache stays as it was.
    """
    if origin is None:
        raise ValueError("get_file: give `origin`, the address of the file, received origin=None")
    given, fname = fname, os.fspath(fname) if fname else os.path.basename(urllib.parse.urlsplit(origin).path)
    if not fname or fname in (".", "..") or os.sep in fname or "\\" in fname or "\0" in fname:
        raise ValueError(f"get_file: fname must be a plain file name, received fname={given!r} and origin={origin!r}")
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    folder = _cache_folder(cache_dir, cache_subdir)
    unpack = extract or untar
    target = os.path.join(folder, fname)
    if unpack:
        # As Keras names them: an archive with a suffix keeps its name.
        suffix = given and "." in fname
        unpacked = os.path.join(folder, f"{fname[: fname.index('.')]}_extracted" if suffix else fname)
        target = target if suffix else f"{target}_archive"
    fresh = force_download or not os.path.exists(target)
    if not fresh and file_hash is not None and not validate_file(target, file_hash, hash_algorithm):
        print_msg(f"{target} has another sum than {file_hash}; it is downloaded again")
        fresh = True
    if fresh:
        _download(origin, target, file_hash, hash_algorithm)
    if not unpack:
        return target
    if fresh or not os.path.isdir(unpacked):
        extract_archive(target, unpacked, "tar" if untar else archive_format)
    return unpacked


def _cache_folder(cache_dir, cache_subdir):
    base = os.path.expanduser(cache_dir if cache_dir is not None else keras_home())
    folder = os.path.join(base, cache_subdir)
    os.makedirs(folder, exist_ok=True)
    return folder


def _download(origin, target, file_hash, algorithm):
    scheme = urllib.parse.urlsplit(origin).scheme
    if scheme not in ("http", "https", "file"):
        raise ValueError(f"get_file: origin must be an http, https or file address, received origin={origin!r}")
    from maas.utils.progbar import Progbar

    print_msg(f"Downloading data from {origin}")
    handle, part = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".download-")
    try:
        with os.fdopen(handle, "wb") as out:
            try:
                with urllib.request.urlopen(origin, timeout=_TIMEOUT_S) as source:  # its scheme is checked above
                    total = int(source.headers.get("Content-Length") or 0) or None
                    bar, done = Progbar(total), 0
                    while chunk := source.read(_CHUNK):
                        out.write(chunk)
                        done += len(chunk)
                        bar.update(done, finalize=False if total is None else None)
            except urllib.error.HTTPError as e:
                raise OSError(f"get_file: {origin} answered {e.code} {e.reason}") from None
            except urllib.error.URLError as e:
                raise OSError(f"get_file: {origin} cannot be reached ({e.reason})") from None
            if total is not None and done != total:
                raise OSError(f"get_file: {origin} broke off, received {done} of {total} bytes")
            out.flush()
            os.fsync(out.fileno())
        if file_hash is not None and not validate_file(part, file_hash, algorithm):
            raise ValueError(
                f"get_file: the sum of {origin} must be {file_hash}, received {_sum(part, file_hash, algorithm)}"
            )
        os.chmod(part, 0o644)
        os.replace(part, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def _sum(path, file_hash, algorithm):
    if algorithm not in ("auto", "md5", "sha256"):
        raise ValueError(f"get_file: hash_algorithm must be 'auto', 'md5' or 'sha256', received {algorithm!r}")
    long = algorithm == "sha256" or (algorithm == "auto" and len(file_hash) == 64)
    hasher = hashlib.sha256() if long else hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as f:
        while chunk := f.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def validate_file(path, file_hash, algorithm="auto"):
    """Whether a file has a sum, in hex."""
    return _sum(path, file_hash, algorithm) == str(file_hash).lower()


# ---- archives


def extract_archive(path, folder, archive_format="auto"):
    """Unpack an archive into a new folder: plain files and folders only, and nothing outside of it.

    Raises:
        ValueError: if it is no archive of such a kind, or holds anything else.
    """
    kinds = ["tar", "zip"] if archive_format == "auto" else archive_format
    kinds = [kinds] if isinstance(kinds, str) else list(kinds or ())
    unknown = set(kinds) - {"tar", "zip"}
    if unknown:
        raise ValueError(f"get_file: archive_format must be 'auto', 'tar' or 'zip', received {sorted(unknown)}")
    members = {"tar": _tar_members, "zip": _zip_members}
    tests = {"tar": _is_tar, "zip": zipfile.is_zipfile}
    kind = next((k for k in kinds if tests[k](path)), None)
    if kind is None:
        raise ValueError(f"get_file: the file must be an archive of the kind {kinds}, received {path!r}")
    work = tempfile.mkdtemp(dir=os.path.dirname(os.path.abspath(folder)), prefix=".extract-")
    try:
        budget = os.path.getsize(path) * _MAX_EXPANSION + _EXPANSION_SLACK
        for count, (name, size, is_folder, read) in enumerate(members[kind](path)):
            budget -= size
            if budget < 0 or count >= _MAX_MEMBERS:
                raise ValueError(f"get_file: the archive unpacks to far more than its size, received {path!r}")
            _write_member(work, name, size, is_folder, read)
        os.chmod(work, 0o755)
        if os.path.isdir(folder):
            shutil.rmtree(folder)
        os.rename(work, folder)
    except _damage() as e:
        raise ValueError(f"get_file: the archive is damaged ({e}), received {path!r}") from None
    except OSError as e:
        if e.errno is not None:
            raise
        raise ValueError(f"get_file: the archive is damaged ({e}), received {path!r}") from None  # bzip2 says it so
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _parts(name):
    """The parts of a member's name below the folder.

    Raises:
        ValueError: if it could lead outside.
    """
    parts = [p for p in name.replace("\\", "/").split("/") if p not in ("", ".")]
    if name.startswith(("/", "\\")) or ".." in parts or "\0" in name or (parts and ":" in parts[0]):
        raise ValueError(f"get_file: the archive has a name that leaves its folder, received {name!r}")
    return parts


def _write_member(folder, name, size, is_folder, read):
    parts = _parts(name)
    if not parts:
        return
    target = os.path.join(folder, *parts)
    os.makedirs(target if is_folder else os.path.dirname(target), exist_ok=True)
    if is_folder:
        return
    left = size
    # No link is ever made here, so nothing that was unpacked can redirect a later name.
    with read() as source, open(target, "wb") as out:
        while chunk := source.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise ValueError(f"get_file: a member is larger than it says, received {name!r}")
            out.write(chunk)


def _damage():
    """What the readers of archives raise for damaged or hostile ones."""
    known = [tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, struct.error, EOFError, OverflowError]
    # A password or an unknown method; a name that is a file and a folder.
    known += [RuntimeError, FileExistsError, NotADirectoryError, IsADirectoryError]
    with contextlib.suppress(ImportError):
        import lzma

        known.append(lzma.LZMAError)
    return tuple(known)


class _ChunksOnly:
    """A file that refuses to be read in one piece."""

    def __init__(self, file):
        self.file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size=-1):
        if not 0 <= size <= _MAX_READ:
            raise ValueError(f"get_file: a header of an archive may have {_MAX_READ} bytes, received one of {size}")
        return self.file.read(size)


@contextlib.contextmanager
def _tar(path):
    """A tar file, compressed or not."""
    with open(path, "rb") as file:
        head = file.read(6)
    if head.startswith(b"\x1f\x8b"):
        opener = gzip.open
    elif head.startswith(b"BZh"):
        from bz2 import open as opener
    elif head.startswith((b"\xfd7zXZ", b"]\0\0\x80")):
        from lzma import open as opener
    else:
        opener = open
    with opener(path, "rb") as file, tarfile.open(fileobj=_ChunksOnly(file), mode="r:") as archive:
        yield archive


def _is_tar(path):
    try:
        with _tar(path):
            return True
    except _damage():
        return False
    except OSError as e:
        if e.errno is not None:
            raise
        return False


def _tar_members(path):
    with _tar(path) as archive:
        while (info := archive.next()) is not None:
            archive.members.clear()  # else it keeps all headers
            if not (info.isreg() or info.isdir()):
                raise ValueError(f"get_file: the archive holds a link or a device, received {info.name!r}")
            yield info.name, info.size, info.isdir(), lambda info=info: archive.extractfile(info)
        # The sum of a compressed file stands at its end.
        for _ in range(_EXPANSION_SLACK // _CHUNK):
            if not archive.fileobj.read(_CHUNK):
                break


def _zip_members(path):
    import stat

    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ValueError(f"get_file: the archive holds a link or a device, received {info.filename!r}")
            yield info.filename, info.file_size, info.is_dir(), lambda info=info: archive.open(info)

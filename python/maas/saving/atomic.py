"""Writing a file so that its path holds either the old or the whole new content, whatever happens in between."""

import contextlib
import os
import secrets
import stat


def _sync_folder(folder):
    # The rename is on disk only when the folder is.
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _open_temporary(folder, name):
    """(fd, path or None). Without a path the file has no name yet, and a killed process leaves nothing behind."""
    if hasattr(os, "O_TMPFILE"):
        # OSError: this file system has no unnamed files.
        with contextlib.suppress(OSError):
            return os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666), None
    path = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(8)}.tmp")
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666), path


def _give_name(fd, folder, path):
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # With a folder given, Python calls linkat with AT_SYMLINK_FOLLOW, which is what names an open file.
        os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=folder_fd, follow_symlinks=True)
    finally:
        os.close(folder_fd)


@contextlib.contextmanager
def atomic_write(path, overwrite=True):
    """A binary file object whose content appears under `path` when the block ends, and not at all when it raises.

    The content goes to a temporary file in the same folder, is flushed to disk, and is then renamed. A new file gets
    the permissions that the umask allows, an existing one keeps its own. A symbolic link is written through.

    Args:
        path: str or path-like.
        overwrite: bool, whether an existing file may be replaced.

    Raises:
        FileNotFoundError: if the folder does not exist.
        FileExistsError: if the file exists and `overwrite` is False.
        ValueError: if `path` names something that is not a regular file.
    """
    path = os.path.realpath(os.fspath(path))
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"the folder to save into does not exist, received {folder!r}")
    mode = None
    if os.path.lexists(path):
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode):
            raise ValueError(f"cannot save over something that is not a regular file, received {path!r}")
        if not overwrite:
            raise FileExistsError(f"the file exists and overwrite=False, received {path!r}")
        mode = stat.S_IMODE(info.st_mode)
    fd, temporary = _open_temporary(folder, name)
    try:
        with os.fdopen(fd, "wb") as file:
            if mode is not None:
                os.fchmod(fd, mode)
            yield file
            file.flush()
            os.fsync(fd)
            if temporary is None:
                named = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(8)}.tmp")
                _give_name(fd, folder, named)
                temporary = named
        if overwrite:
            os.replace(temporary, path)
        else:
            # link fails when somebody made the file meanwhile; rename would replace it.
            os.link(temporary, path)
            os.unlink(temporary)
        temporary = None
    except BaseException:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise
    _sync_folder(folder)

"""Atomic writing: the old file or the new one, and nothing else, after errors and after kill -9."""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from maas.saving.atomic import atomic_write
from maas.saving.files import read_file


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "m.keras"
    for content in (b"one", b"two"):
        with atomic_write(path) as f:
            f.write(content)
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["m.keras"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_failure_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "m.keras"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_write(path) as f:
        f.write(b"half")
        raise error
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["m.keras"]
    with pytest.raises(error), atomic_write(tmp_path / "new") as f:
        raise error
    assert os.listdir(tmp_path) == ["m.keras"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_respect_umask(tmp_path, umask):
    old = os.umask(umask)
    try:
        with atomic_write(tmp_path / "m") as f:
            f.write(b"1")
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(tmp_path / "m").st_mode) == 0o666 & ~umask
    # A file that exists keeps its own.
    os.chmod(tmp_path / "m", 0o640)
    with atomic_write(tmp_path / "m") as f:
        f.write(b"2")
    assert stat.S_IMODE(os.stat(tmp_path / "m").st_mode) == 0o640


def test_overwrite_false(tmp_path):
    with atomic_write(tmp_path / "m", overwrite=False) as f:
        f.write(b"1")
    with pytest.raises(FileExistsError, match="overwrite=False"), atomic_write(tmp_path / "m", overwrite=False) as f:
        f.write(b"2")
    # Somebody else makes the file while we write.
    with pytest.raises(FileExistsError), atomic_write(tmp_path / "n", overwrite=False) as f:
        (tmp_path / "n").write_bytes(b"theirs")
        f.write(b"2")
    assert (tmp_path / "n").read_bytes() == b"theirs" and sorted(os.listdir(tmp_path)) == ["m", "n"]


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder"), atomic_write(tmp_path / "no" / "m"):
        pass
    with pytest.raises(ValueError, match="regular"), atomic_write(tmp_path):
        pass
    os.symlink(tmp_path / "target", tmp_path / "link")
    with atomic_write(tmp_path / "link") as f:
        f.write(b"1")
    assert (tmp_path / "target").read_bytes() == b"1" and (tmp_path / "link").is_symlink()


def test_without_unnamed_files(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "O_TMPFILE")
    test_writes_and_replaces(tmp_path)
    test_failure_leaves_the_old_file(tmp_path, ValueError)


WRITER = """
import sys
from maas.saving.atomic import atomic_write
print("ready", flush=True)
i = 0
while True:
    i += 1
    with atomic_write(sys.argv[1]) as f:
        for _ in range(64):
            f.write(bytes([i % 256]) * 16384)
"""


def test_kill_9_while_writing(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(b"\0" * (1 << 20))
    for attempt in range(12):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(0.003 * attempt)
        child.send_signal(signal.SIGKILL)
        child.wait()
        content = path.read_bytes()
        # One whole version: 1 MiB of a single value.
        assert len(content) == 1 << 20 and content == content[:1] * (1 << 20)


def test_reading_is_limited_and_needs_a_regular_file(tmp_path, monkeypatch):
    (tmp_path / "m").write_bytes(b"x" * 100)
    assert read_file(tmp_path / "m") == b"x" * 100
    monkeypatch.setenv("MAAS_MAX_MODEL_BYTES", "99")
    with pytest.raises(ValueError, match="limit of 99"):
        read_file(tmp_path / "m")
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "."):
        with pytest.raises((ValueError, IsADirectoryError)):
            read_file(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="not found"):
        read_file(tmp_path / "none")

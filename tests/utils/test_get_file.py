"""Downloads into a cache, from a server on this machine, and archives that try to get out of their folder."""

import functools
import gzip
import hashlib
import http.server
import io
import os
import stat
import tarfile
import threading
import tracemalloc
import zipfile

import numpy as np
import pytest

from maas.utils import get_file
from maas.utils.file_utils import extract_archive

CONTENT = bytes(range(256)) * 50
SHA256, MD5 = hashlib.sha256(CONTENT).hexdigest(), hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        if self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
            return
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "data.bin").write_bytes(CONTENT)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    server.requests, server.folder = [], folder
    server.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def get(served, tmp_path):
    served.requests.clear()
    return lambda name="data.bin", **kwargs: get_file(
        **{"origin": f"{served.address}/{name}", "cache_dir": str(tmp_path), **kwargs}
    )


def leftovers(folder):
    return [n for _, folders, files in os.walk(folder) for n in folders + files if n.startswith(".")]


@pytest.mark.parametrize("kwargs", [
    {}, {"file_hash": SHA256}, {"md5_hash": MD5}, {"file_hash": MD5, "hash_algorithm": "auto"},
    {"file_hash": SHA256.upper(), "hash_algorithm": "sha256"},
])  # fmt: skip
def test_downloads_once(get, served, tmp_path, kwargs):
    path = get(**kwargs)
    assert path == str(tmp_path / "datasets" / "data.bin") and open(path, "rb").read() == CONTENT
    assert get(**kwargs) == path and served.requests == ["/data.bin"]
    get(force_download=True, **kwargs)
    assert len(served.requests) == 2 and not leftovers(tmp_path)


def test_finds_what_is_in_the_cache_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "x.npz").write_bytes(CONTENT)
    path = get_file("x.npz", origin="http://127.0.0.1:1/x.npz", file_hash=SHA256)
    assert path == str(tmp_path / "datasets" / "x.npz")


def test_another_sum_in_the_cache_is_downloaded_again(get, served, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d").write_bytes(b"old")
    assert open(get(fname="d", cache_subdir="sub", file_hash=SHA256), "rb").read() == CONTENT


def test_a_wrong_sum_leaves_the_cache_as_it_was(get, tmp_path):
    get()
    with pytest.raises(ValueError, match=f"must be {'0' * 64}, received {SHA256}"):
        get(file_hash="0" * 64)
    assert (tmp_path / "datasets" / "data.bin").read_bytes() == CONTENT and not leftovers(tmp_path)


@pytest.mark.parametrize("name, text", [
    ("missing", "answered 404"), ("short", "broke off, received 10 of 1000 bytes"),
])  # fmt: skip
def test_failed_downloads_leave_nothing(get, tmp_path, name, text):
    with pytest.raises(OSError, match=text):
        get(name)
    assert not list((tmp_path / "datasets").iterdir())


def test_a_server_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match="cannot be reached"):
        get_file(origin="http://127.0.0.1:1/x", cache_dir=str(tmp_path))


@pytest.mark.parametrize("kwargs, text", [
    ({"origin": None}, "give `origin`"), ({"fname": "../x"}, "plain file name"), ({"fname": "a/b"}, "plain file name"),
    ({"fname": ".."}, "plain file name"), ({"fname": "a\\b"}, "plain file name"),
    ({"origin": "http://127.0.0.1/.."}, "plain file name"), ({"origin": "gopher://x/y"}, "http, https or file"),
    ({"file_hash": "0", "hash_algorithm": "crc"}, "hash_algorithm must be"),
])  # fmt: skip
def test_wrong_arguments(get, kwargs, text):
    with pytest.raises(ValueError, match=text):
        get(**kwargs)


# ---- archives


def tar_of(*entries, mode="w:gz"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                archive.addfile(info)
    return file.getvalue()


def zip_of(*entries, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            if not isinstance(content, bytes):
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
                content = b"/etc/passwd"
            archive.writestr(info, content, method)
    return file.getvalue()


def put(served, name, content):
    (served.folder / name).write_bytes(content)


@pytest.mark.parametrize("make, name", [(tar_of, "a.tar.gz"), (zip_of, "b.zip")])
def test_unpacks(get, served, tmp_path, make, name):
    put(served, name, make(("top/one.txt", b"1"), ("top/deep/two.txt", b"22"), ("./three", b"3")))
    stem = name.split(".")[0]
    for kwargs, folder in (({"fname": name}, f"{stem}_extracted"), ({}, name), ({"fname": "plain"}, "plain")):
        kwargs = {**kwargs, "cache_subdir": folder}
        path = get(name, extract=True, **kwargs)
        assert path == str(tmp_path / folder / folder)
        assert open(os.path.join(path, "top", "deep", "two.txt"), "rb").read() == b"22"
        assert sorted(os.listdir(path)) == ["three", "top"]
        before = len(served.requests)
        assert get(name, extract=True, **kwargs) == path and len(served.requests) == before
    assert not leftovers(tmp_path)


LINK, HARD, DEVICE = (tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "x"), (tarfile.CHRTYPE, "")


@pytest.mark.parametrize("content, text", [
    (tar_of(("../out", b"x")), "leaves its folder"), (tar_of(("/abs", b"x")), "leaves its folder"),
    (tar_of(("a/../../out", b"x")), "leaves its folder"), (tar_of(("..\\out", b"x")), "leaves its folder"),
    (tar_of(("C:/out", b"x")), "leaves its folder"), (tar_of(("l", LINK), ("l/x", b"x")), "a link or a device"),
    (tar_of(("x", b"x"), ("h", HARD)), "a link or a device"), (tar_of(("d", DEVICE)), "a link or a device"),
    (zip_of(("../out", b"x")), "leaves its folder"), (zip_of(("l", None)), "a link or a device"),
    (tar_of(("x", b"x" * 5000))[:60], "must be an archive"), (b"no archive", "must be an archive"),
    (zip_of(("x", b"0123456789")).replace(b"0123456789", b"9999999999"), "is damaged"),
], ids=lambda v: v if isinstance(v, str) else "archive")  # fmt: skip
def test_hostile_and_damaged_archives(get, served, tmp_path, content, text):
    put(served, "evil", content)
    with pytest.raises(ValueError, match=text):
        get("evil", extract=True)
    assert os.listdir(tmp_path) == ["datasets"] and os.listdir(tmp_path / "datasets") == ["evil_archive"]


NOISE = np.random.default_rng(0).bytes(200_000)


def flipped(data, at):
    return data[:at] + bytes(b ^ 0x5A for b in data[at : at + 40]) + data[at + 40 :]


@pytest.mark.parametrize("content", [
    *(flipped(zip_of(("x", NOISE[:20] * 5000), method=m), 60)
      for m in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)),
    *(flipped(tar_of(("x", NOISE), mode=f"w:{m}"), 100_000) for m in ("gz", "bz2", "xz")),
    *(tar_of(("x", NOISE), mode=f"w:{m}")[:100_000] for m in ("gz", "bz2", "xz")),
    zip_of(("x", b"1")).replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"),
    tar_of(("x", b"1"), ("x/y", b"2")), zip_of(("x", b"1"), ("x/y", b"2")), tar_of(("x/y", b"2"), ("x", b"1")),
    zip_of(("x/y/z", b"1"), ("x/y", b"2")),
], ids=range(14))  # fmt: skip
def test_damage_is_a_value_error(content, tmp_path):
    (tmp_path / "evil").write_bytes(content)
    with pytest.raises(ValueError, match="the archive is damaged|must be an archive"):
        extract_archive(str(tmp_path / "evil"), str(tmp_path / "out"))
    assert os.listdir(tmp_path) == ["evil"]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_unpacks_every_compression(mode, tmp_path):
    (tmp_path / "a").write_bytes(tar_of(*((f"d/{i}", NOISE[: i * 999]) for i in range(30)), mode=mode))
    extract_archive(str(tmp_path / "a"), str(tmp_path / "out"))
    for i in range(30):
        assert (tmp_path / "out" / "d" / str(i)).read_bytes() == NOISE[: i * 999]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("first", [True, False])
def test_a_huge_header(kind, first, tmp_path):
    info, plain = tarfile.TarInfo("header"), tarfile.TarInfo("x")
    info.type, info.size = kind, 1 << 30
    out = io.BytesIO()
    with gzip.open(out, "wb", 1) as file:
        file.write(b"" if first else plain.tobuf())
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(64):  # enough for a reader that would begin with it
            file.write(bytes(1 << 20))
    (tmp_path / "evil").write_bytes(out.getvalue())
    tracemalloc.start()
    with pytest.raises(ValueError, match="a header of an archive may have"):
        extract_archive(str(tmp_path / "evil"), str(tmp_path / "out"))
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


def test_a_bomb(get, served, tmp_path, monkeypatch):
    from maas.utils import file_utils

    monkeypatch.setattr(file_utils, "_EXPANSION_SLACK", 1000)
    put(served, "bomb", tar_of(("zeros", bytes(10_000_000))))
    with pytest.raises(ValueError, match="unpacks to far more than its size"):
        get("bomb", extract=True)


def test_other_formats(get, served):
    put(served, "t", tar_of(("x", b"x")))
    assert get("t", untar=True)
    with pytest.raises(ValueError, match="an archive of the kind"):
        get("t", fname="u", extract=True, archive_format="zip")
    with pytest.raises(ValueError, match="archive_format must be"):
        get("t", fname="v", extract=True, archive_format="rar")

"""The hardened HDF5 reader, in process: S-31 (shape bombs), S-32 (links, virtual and external data, filters, fuzz)."""

import random
import resource
import time

import h5py
import numpy as np
import pytest

from maas.saving.hdf5 import open_hdf5
from maas.saving.hdf5_write import CHECKSUM, check_digest, hdf5_bytes
from tests.saving.files import hdf5, weights


def read_all(data):
    with open_hdf5(data) as tree:
        return {path: d.read() for path, d in tree.datasets.items()}


def refused(data, match="HDF5"):
    start = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=match):
        read_all(data)
    assert time.monotonic() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def made_by(write):
    return hdf5(lambda f: (weights(f), write(f)))


def test_reads_plain_files():
    found = read_all(hdf5(weights))
    np.testing.assert_array_equal(found["layers/dense/vars/0"], np.arange(12, dtype="float32").reshape(3, 4))
    assert sorted(found) == [f"layers/{n}/vars/{i}" for n in ("dense", "dense_1") for i in (0, 1)]


@pytest.mark.parametrize("libver", ["earliest", "v108", "latest"])
def test_reads_all_versions_and_allowed_filters(libver, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w", libver=(libver, "latest")) as f:
        f.attrs["names"] = ["a", "bcd", ""]
        f.attrs["fixed"] = np.array([b"x", b"yz"])
        f.create_dataset("zipped", data=np.arange(1000.0), compression="gzip", shuffle=True, chunks=(100,))
        f["big_endian"] = np.arange(5, dtype=">f4")
        f["scalar"] = np.int32(7)
        f["empty"] = np.zeros((0, 3), "float32")
        f["flag"] = np.array([True, False])
    data = (tmp_path / "x.h5").read_bytes()
    found = read_all(data)
    np.testing.assert_array_equal(found["zipped"], np.arange(1000.0))
    np.testing.assert_array_equal(found["big_endian"], np.arange(5, dtype="float32"))
    assert found["big_endian"].dtype.isnative and found["scalar"] == 7 and found["empty"].shape == (0, 3)
    assert found["flag"].tolist() == [True, False]
    with open_hdf5(data) as tree:
        assert tree.groups[""] == {"names": ["a", "bcd", ""], "fixed": ["x", "yz"]}


def test_s32_external_link():
    refused(made_by(lambda f: f.__setitem__("layers/evil", h5py.ExternalLink("/etc/passwd", "/"))), "link")


@pytest.mark.parametrize("target", ["/layers/dense", "/", "loop", "../x"])
def test_s32_soft_link(target):
    refused(made_by(lambda f: f.__setitem__("loop", h5py.SoftLink(target))), "link")


def test_s32_hard_link_cycle_and_repeat():
    refused(made_by(lambda f: f.__setitem__("layers/again", f["layers/dense"])), "twice")
    refused(made_by(lambda f: f.__setitem__("layers/dense/up", f["layers"])), "twice")


def test_s32_virtual_dataset():
    def write(f):
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
        f.create_virtual_dataset("v", layout)

    refused(made_by(write), "virtual")


def test_s32_external_storage():
    refused(made_by(lambda f: f.create_dataset("x", (4,), "u1", external=[("/etc/passwd", 0, 4)])), "external")


@pytest.mark.parametrize("options", [{"fletcher32": True}, {"scaleoffset": 2, "dtype": "i4"}, {"compression": "lzf"}])
def test_s32_filters(options):
    refused(made_by(lambda f: f.create_dataset("x", (64,), **{"dtype": "f4", "chunks": (64,), **options})), "filter")


def test_s32_filter_plugin(tmp_path, monkeypatch):
    # A code that only a plugin could serve; the folder of plugins must not even be looked into.
    def write(f):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((64,))
        plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (1,))
        h5py.h5d.create(f.id, b"x", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((64,)), plist)

    refused(made_by(write), "filter 32015")


@pytest.mark.parametrize("shape", [(2**40,), (2**20, 2**20), (2**30, 2**31)])
@pytest.mark.parametrize("options", [{}, {"chunks": True}, {"chunks": True, "compression": "gzip"}])
def test_s31_shape_bomb(shape, options):
    refused(made_by(lambda f: f.create_dataset("x", shape, "f4", **options)), "declares")


def test_s31_well_compressed_bomb():
    # 512 MB of zeros in about 500 KB: a true ratio, but more than such a file may unpack to.
    def write(f):
        f.create_dataset("x", (1 << 27,), "f4", chunks=(1 << 18,), compression="gzip")
        for i in range(0, 1 << 27, 1 << 18):
            f["x"].id.write_direct_chunk((i,), chunk)

    import zlib

    chunk = zlib.compress(bytes(1 << 20), 9)
    refused(made_by(write), "declare")


def test_s31_many_objects_and_depth():
    def deep(f):
        for _ in range(80):
            f = f.create_group("g")

    refused(made_by(deep), "deep")


@pytest.mark.parametrize("name", ["..", "a\\b", "x" * 600, "a\x01b"])
def test_names(name):
    refused(
        made_by(lambda f: f.create_group("layers").create_group(name) if 0 else f["layers"].create_group(name)), "name"
    )


def test_data_that_is_no_numbers():
    for value in (np.array([b"text"]), np.array([(1, 2)], "i4,i4"), np.array([1 + 2j]), np.void(b"opaque")):
        refused(made_by(lambda f, v=value: f.__setitem__("x", v)), "dataset 'x'")
    refused(made_by(lambda f: f.create_dataset("x", data=["a", "b"], dtype=h5py.string_dtype())), "dataset 'x'")
    refused(made_by(lambda f: f.__setitem__("t", np.dtype("f4"))), "neither")


def test_strings_that_claim_more_than_is_stored():
    data = bytearray(made_by(lambda f: f.attrs.__setitem__("name", "abcdefgh")))
    # (length, address, index) of the string; 4 GiB is what the library would take before looking.
    at = data.find((8).to_bytes(4, "little") + data.find(b"GCOL").to_bytes(8, "little"))
    assert at > 0
    data[at : at + 4] = b"\xff\xff\xff\xff"
    refused(bytes(data), "claims")


def test_heap_that_never_ends():
    data = bytearray(made_by(lambda f: f.attrs.__setitem__("name", "abcdefgh")))
    at = data.find(b"GCOL")
    data[at + 24 : at + 32] = bytes(8 * [255])
    refused(bytes(data))


def test_bfloat16_as_keras_marks_it():
    def write(f):
        d = f.create_dataset("x", data=np.array([0x3F80, 0xC000], "u2").view("V2"))
        d.attrs["dtype"] = "bfloat16"

    assert read_all(made_by(write))["x"].tolist() == [1.0, -2.0]


def test_checksum():
    data = hdf5_bytes(weights)
    with open_hdf5(data) as tree:
        assert len(tree.groups[""][CHECKSUM]) == 64
        check_digest(tree)
    at = data.find(np.arange(12, dtype="float32").tobytes())
    changed = data[: at + 5] + b"\x77" + data[at + 6 :]
    with pytest.raises(ValueError, match="checksum"), open_hdf5(changed) as tree:
        check_digest(tree)


def test_truncated():
    data = hdf5(weights)
    for n in [*range(0, 200), *range(200, len(data) - 1, 37)]:
        with pytest.raises(ValueError, match="HDF5"):
            read_all(data[:n])


def test_s32_fuzz():
    """Damaged files give a ValueError or some values, never a crash, a hang or another error."""
    data, rng = hdf5_bytes(weights), random.Random(7)
    bad = 0
    for _ in range(600):
        b = bytearray(data)
        for _ in range(rng.choice([1, 1, 2, 8])):
            p = rng.randrange(8, len(b))
            if rng.random() < 0.6:
                b[p] = rng.choice([0, 1, 127, 128, 255, b[p] ^ (1 << rng.randrange(8))])
            else:
                p = p // 8 * 8
                b[p : p + 8] = rng.choice([0, 2**64 - 1, 2**63, len(b), 2**32 - 1]).to_bytes(8, "little")
        try:
            with open_hdf5(bytes(b[: len(data)])) as tree:
                check_digest(tree)
        except ValueError:
            bad += 1
    assert bad > 100

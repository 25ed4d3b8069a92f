"""Hashes against those of TensorFlow, modulo 2^63 - 1, and the layers that hash."""

import json

import numpy as np
import pytest

from maas import layers
from maas.layers.preprocessing.hashing import fingerprint64, hash_bucket, siphash24
from tests.layers.test_category_layers import expected_output

HASHES = [
    ("", 1936946117179621456, 4260434136022711674),
    ("a", 3694432073954588132, 1834374123143231496),
    ("abcd", 1897425971756105985, 6101624822259411976),
    ("abcdefgh", 9145071594317031690, 1168332015709806289),
    ("x" * 16, 3320895591121647644, 2883603522978542428),
    ("x" * 17, 2082709914559524774, 7082463577551666636),
    ("y" * 33, 8610735037765521150, 2751351373242397498),
    ("é" * 40, 706083037942589338, 5648041392648071669),
    ("z" * 200, 8728890208429024092, 7508717716893159176),
]


@pytest.mark.parametrize("text, plain, keyed", HASHES, ids=lambda v: str(v)[:4])
def test_hashes(text, plain, keyed):
    assert (hash_bucket(text, 2**63 - 1), hash_bucket(text, 2**63 - 1, [3, 7])) == (plain, keyed)


def test_siphash_of_its_paper():
    key = (0x0706050403020100, 0x0F0E0D0C0B0A0908)
    assert siphash24(key, bytes(range(15))) == 0xA129CA6149BE45E5


def test_every_length_has_its_own_fingerprint():
    assert len({fingerprint64(b"q" * n) for n in range(300)}) == 300


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("kwargs", [{}, {"salt": 5}, {"salt": [5, 9]}, {"mask_value": "b"}], ids=str)
def test_hashing(kwargs, mode):
    layer = layers.Hashing(7, output_mode=mode, **kwargs)
    salt = [5, 5] if kwargs.get("salt") == 5 else kwargs.get("salt")
    x = [["a", "b"], ["c", "12"], ["b", "é"]]

    def place(v):
        if "mask_value" not in kwargs:
            return hash_bucket(v, 7, salt)
        return 0 if v == "b" else 1 + hash_bucket(v, 6, salt)

    rows = [[place(v) for v in row] for row in x]
    np.testing.assert_array_equal(np.asarray(layer(x)), expected_output(rows, mode, 7, None))
    again = layers.deserialize(json.loads(json.dumps(layers.serialize(layer))))
    np.testing.assert_array_equal(np.asarray(again(x)), np.asarray(layer(x)))
    numbers = layers.Hashing(7)(np.array([12, 13]))
    assert numbers.numpy().tolist() == [hash_bucket("12", 7), hash_bucket("13", 7)]


def test_hashed_crossing():
    layer = layers.HashedCrossing(1000003)
    both = [np.array([[5], [-7]]), np.array([["x"], ["漢"]])]
    assert layer(both).numpy().tolist() == [[723191], [951849]]  # TensorFlow's
    assert layers.HashedCrossing(5, output_mode="one_hot")(both).shape == (2, 5)
    assert layer([c[:, 0] for c in both]).shape == (2,)


def test_a_mask_of_bytes_is_the_string():
    layer = layers.Hashing(4, mask_value=b"x")
    assert layer(["x", "y"]).numpy().tolist() == layers.Hashing(4, mask_value="x")(["x", "y"]).numpy().tolist()
    assert layer(["x"]).numpy().tolist() == [0] and json.loads(json.dumps(layer.get_config()))["mask_value"] == "x"

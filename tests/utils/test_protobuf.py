"""Messages without the package protobuf: what that package reads and writes."""

import pytest
from google.protobuf import descriptor_pb2, wrappers_pb2

from maas.utils import protobuf as p
from tests import wire


@pytest.mark.parametrize("n", [0, 1, 127, 128, 300, 2**31, 2**63 - 1, -1, -128, -(2**63)])
def test_numbers(n):
    assert p.int_field(1, n) == (wrappers_pb2.Int64Value(value=n).SerializeToString() or b"\x08\x00")
    assert p.varint(n) == wire.varint(n) and p.varints(p.varint(n) + p.varint(5)) == [n, 5]
    assert p.read_varint(b"x" + p.varint(n), 1) == (n % 2**64, 1 + len(p.varint(n)))


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000])
def test_bytes(size):
    data = b"a" * size
    assert wrappers_pb2.BytesValue.FromString(p.bytes_field(1, data)).value == data
    assert p.head(1, size) + data == p.bytes_field(1, data) == wire.field(1, data)


def test_every_field_is_told():
    option = descriptor_pb2.UninterpretedOption(
        identifier_value="name", positive_int_value=300, double_value=1.5, string_value=b"bytes"
    )
    found = dict(p.fields(option.SerializeToString()))
    assert found == {3: b"name", 4: 300, 6: b"\0\0\0\0\0\0\xf8\x3f", 7: b"bytes"}
    assert list(p.fields(wrappers_pb2.FloatValue(value=1).SerializeToString())) == [(1, b"\0\0\x80\x3f")]
    assert p.key_of(6, p.FIXED64) == b"\x31" and p.key_of(1, p.FIXED32) == b"\x0d" and not list(p.fields(b""))


@pytest.mark.parametrize(
    "data", [b"\x80", b"\xff" * 11 + b"\1", b"\x0a", b"\x0a\x05abcd", b"\x09abc", b"\x0d", b"\x0b", b"\x0f", b"\x08"]
)
def test_bytes_that_are_no_message_are_told(data):
    with pytest.raises(ValueError, match="protobuf: .*received"):
        list(p.fields(data))

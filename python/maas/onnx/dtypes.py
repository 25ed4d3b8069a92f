"""ONNX's numbers for dtypes."""

# TensorProto.DataType -> dtype.
_NAMES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    16: "bfloat16",
    17: "float8_e4m3fn",
    19: "float8_e5m2",
    22: "int4",
}
_CODES = {name: code for code, name in _NAMES.items()}
_OTHERS = {
    8: "string",
    14: "complex64",
    15: "complex128",
    18: "float8_e4m3fnuz",
    20: "float8_e5m2fnuz",
    21: "uint4",
    23: "float4_e2m1",
    24: "float8_e8m0",
    25: "uint2",
    26: "int2",
}

BITS = {
    name: 4 if name == "int4" else 8 if name == "bool" or "float8" in name else int(name.lstrip("bfloatuin"))
    for name in _CODES
}


def dtype_name(code, where):
    """The dtype of an ONNX number.

    Raises:
        TypeError: for a dtype that the engine does not have, naming `where` and those it has.
    """
    if code not in _NAMES:
        name = _OTHERS.get(code, f"number {code}")
        raise TypeError(f"onnx: {where} must have one of the dtypes {', '.join(_CODES)}, received {name}")
    return _NAMES[code]


def dtype_code(name):
    """ONNX's number of a dtype."""
    return _CODES[name]

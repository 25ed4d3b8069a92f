"""Cases of ops that join and repeat tensors: (name, arguments after x, keyword arguments), run on ops and on NumPy."""

SHAPES = [(3, 4, 5), (1, 4, 1), (2, 0, 3)]
SAME_AS_NUMPY = [
    ("tile", ((2, 1, 3),), {}),
    ("tile", ((2, 1, 1, 3),), {}),
    ("repeat", (3,), {"axis": 1}),
    ("repeat", (2,), {}),
    ("roll", (2,), {"axis": 1}),
    ("roll", (-7,), {}),
    ("roll", ([1, -2],), {"axis": [0, 2]}),
    ("flip", (), {}),
    ("flip", (1,), {}),
    ("flip", ((0, 2),), {}),
    ("pad", (((1, 2), (3, 0), (0, 2)),), {"constant_values": 3}),
    ("pad", (1,), {}),
    ("tril", (-1,), {}),
    ("triu", (1,), {}),
]
MIRRORED = [(((1, 2), (3, 0), (0, 2)), mode) for mode in ("reflect", "symmetric", "edge")]
DTYPES = ["float32", "float64", "float16", "int8", "uint8", "int32", "int64", "bool"]

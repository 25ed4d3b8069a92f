"""Odd models, built by hand: name -> (bytes, calls)."""

import numpy as np
from onnx import TensorProto as T
from onnx import helper, numpy_helper

_KINDS = {
    "f": T.FLOAT,
    "d": T.DOUBLE,
    "i": T.INT64,
    "w": T.INT32,
    "b": T.BOOL,
    "c": T.INT8,
    "u": T.UINT8,
    "h": T.FLOAT16,
}


def port(name, kind="f", shape=None):
    return helper.make_tensor_value_info(name, _KINDS[kind], shape)


def graph(nodes, inputs, outputs, constants=None, name="g"):
    constants = [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()]
    return helper.make_graph(nodes, name, inputs, outputs, constants)


def model(nodes, inputs, outputs, constants=None, opset=21, **more):
    proto = helper.make_model(
        graph(nodes, inputs, outputs, constants), opset_imports=[helper.make_opsetid("", opset)], **more
    )
    proto.ir_version = 10
    return proto.SerializeToString()


def one(op, arrays, kinds, outputs=1, opset=21, shapes=None, constants=None, names=None, **attributes):
    """(bytes, calls) of one node of inputs `a0`, `a1`, ...; `constants` are inputs with values, "" stands for none."""
    inputs = [
        port(f"a{i}", k, (shapes or {}).get(i, [f"n{i}_{j}" for j in range(np.ndim(a))]))
        for i, (a, k) in enumerate(zip(arrays, kinds))
    ]
    outs = names or ["y"]
    node = helper.make_node(
        op, [*(i.name for i in inputs), *(k if k.isidentifier() else "" for k in constants or {})], outs, **attributes
    )
    data = model(
        [node],
        inputs,
        [helper.make_empty_tensor_value_info(n) for n in outs if n],
        {k: v for k, v in (constants or {}).items() if k.isidentifier()},
        opset,
    )
    return data, [[np.asarray(a) for a in arrays]]


def _floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def _averaged(size, pads, **more):
    """AveragePool of windows of 3 at every other place of an image of a known size."""
    x = _floats(1, 2, size, size)
    window = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": pads}
    return one("AveragePool", [x], "f", shapes={0: list(x.shape)}, **window, **more)


def _branches(kind):
    """If with branches of different sizes, or that read names from outside."""
    node = helper.make_node
    if kind == "outer":
        then = graph([node("Add", ["x", "one"], ["t"])], [], [port("t")])
        other = graph([node("Mul", ["x", "x"], ["e"])], [], [port("e")])
    else:
        then = graph([node("Concat", ["x", "x"], ["t"], axis=0)], [], [port("t")])
        other = graph([node("Identity", ["x"], ["e"])], [], [port("e")])
    nodes = [
        node("ReduceSum", ["x"], ["s"], keepdims=0),
        node("Greater", ["s", "zero"], ["c"]),
        node("If", ["c"], ["y"], then_branch=then, else_branch=other),
    ]
    data = model(nodes, [port("x", "f", ["n", 2])], [port("y")], {"one": np.float32(1), "zero": np.float32(0)})
    return data, [[np.ones((3, 2), "float32")], [-np.ones((2, 2), "float32")]]


def _loop(limit, stop_at=None, scan=True):
    """v = 2 v + i, rows of v; ends after `limit` turns, or when v passes `stop_at`."""
    node = helper.make_node
    nodes = [node("Cast", ["i"], ["f"], to=T.FLOAT), node("Mul", ["v", "two"], ["d"]), node("Add", ["d", "f"], ["w"])]
    if stop_at is None:
        nodes.append(node("Identity", ["c"], ["go"]))
    else:
        nodes += [node("ReduceMax", ["w"], ["hi"], keepdims=0), node("Less", ["hi", "top"], ["go"])]
    nodes.append(node("Identity", ["w"], ["row"]))
    outs = [port("go", "b", []), port("w"), *([port("row")] if scan else [])]
    body = graph(
        nodes,
        [port("i", "i", []), port("c", "b", []), port("v", "f", ["k"])],
        outs,
        {"two": np.float32(2), **({} if stop_at is None else {"top": np.float32(stop_at)})},
    )
    loop = node("Loop", ["m", "go0", "x"], ["y", *(["rows"] if scan else [])], body=body)
    data = model(
        [loop],
        [port("x", "f", ["k"])],
        [port("y"), *([port("rows")] if scan else [])],
        {"m": np.int64(limit), "go0": np.array(True)},
    )
    return data, [[np.array([1, 2], "float32")], [np.array([0.5, 0, -1], "float32")]]


def _scan():
    node = helper.make_node
    body = graph(
        [node("Add", ["s", "x"], ["t"]), node("Mul", ["t", "x"], ["r"])],
        [port("s", "f", [2]), port("x", "f", [2])],
        [port("t", "f", [2]), port("r", "f", [2])],
    )
    data = model(
        [node("Scan", ["s0", "xs"], ["end", "rows"], body=body, num_scan_inputs=1, scan_input_directions=[1])],
        [port("s0", "f", [2]), port("xs", "f", ["n", 2])],
        [port("end"), port("rows")],
    )
    return data, [[np.zeros(2, "float32"), _floats(4, 2)]]


def _sequence():
    """Split, take from the end, insert, and join again."""
    node = helper.make_node
    nodes = [
        node("SplitToSequence", ["x", "two"], ["s"], axis=1),
        node("SequenceAt", ["s", "last"], ["e"]),
        node("SequenceInsert", ["s", "e", "zero"], ["t"]),
        node("SequenceErase", ["t", "one"], ["u"]),
        node("SequenceLength", ["u"], ["n"]),
        node("ConcatFromSequence", ["u"], ["y"], axis=1),
    ]
    data = model(
        nodes,
        [port("x", "f", [2, 6])],
        [port("y"), port("n", "i", [])],
        {"two": np.int64(2), "last": np.int64(-1), "zero": np.int64(0), "one": np.int64(1)},
    )
    return data, [[_floats(2, 6)]]


def _shapes():
    """Reshape to sizes that follow from the input by arithmetic, and a range as long as the batch."""
    node = helper.make_node
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Gather", ["s", "one"], ["c"]),
        node("Mul", ["n", "c"], ["nc"]),
        node("Unsqueeze", ["nc", "axes"], ["flat"]),
        node("Concat", ["flat", "minus"], ["to"], axis=0),
        node("Reshape", ["x", "to"], ["r"]),
        node("Range", ["zero", "nc", "one"], ["k"]),
        node("Cast", ["k"], ["kf"], to=T.FLOAT),
        node("Unsqueeze", ["kf", "minus"], ["col"]),
        node("Add", ["r", "col"], ["y"]),
    ]
    data = model(
        nodes,
        [port("x", "f", ["n", "c", 3])],
        [port("y")],
        {"zero": np.int64(0), "one": np.int64(1), "axes": np.array([0]), "minus": np.array([-1])},
    )
    return data, [[_floats(2, 4, 3)], [_floats(5, 1, 3)]]


def _function():
    """A function of the model's own, with an attribute, called twice."""
    node = helper.make_node
    inner = node("LeakyRelu", ["a"], ["l"])
    inner.attribute.add(name="alpha", ref_attr_name="slope", type=1)
    own = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [inner, node("Add", ["l", "a"], ["b"])], [helper.make_opsetid("", 21)], ["slope"]
    )
    nodes = [
        node("Twice", ["x"], ["t"], domain="mine", slope=0.25),
        node("Twice", ["t"], ["y"], domain="mine", slope=-1.0),
    ]
    proto = helper.make_model(
        graph(nodes, [port("x", "f", ["n"])], [port("y")], {"big": np.zeros(999, "float32")}),
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("mine", 1)],
        functions=[own],
    )
    proto.ir_version = 10
    return proto.SerializeToString(), [[_floats(7)]]


def cases():
    far, tiny = 2**63 - 1, np.float32(1e-30)
    x = np.arange(12, dtype="float32").reshape(3, 4)

    def cut(starts, ends, axes, steps, shape=None):
        c = {"s": np.array(starts), "e": np.array(ends), "a": np.array(axes), "t": np.array(steps)}
        return one("Slice", [x], "f", constants=c, shapes=shape)

    ragged = np.array([[1, -7, 0], [5, 2, -3]])
    found = {
        "if of the outer graph": _branches("outer"),
        "loop of no turns": _loop(0, scan=False),
        "loop of five turns": _loop(5),
        "loop that ends itself": _loop(20, 40.0),
        "scan from the back": _scan(),
        "sequences": _sequence(),
        "sizes by arithmetic": _shapes(),
        "function of the model": _function(),
        "slice from far below backwards": cut([-far], [far], [0], [-1]),
        "slice to far below backwards": cut([far], [-far], [1], [-2]),
        "slice far outside": cut([-100, 2], [100, 50], [0, 1], [2, 1]),
        "slice before the first": cut([-9], [-7], [1], [1]),
        "slice backwards to nothing": cut([0], [2], [1], [-1]),
        "slice backwards of known sizes": cut([-9], [-far], [1], [-1], {0: [3, 4]}),
        "fmod of tiny numbers": one(
            "Mod",
            [np.array([-tiny, tiny, -5.5, 5.5, -0.0], "float32"), np.array([3, -3, 2, -2, 1], "float32")],
            "ff",
            fmod=1,
        ),
        "mod of integers": one("Mod", [np.array([-7, 7, -7, 7]), np.array([3, -3, -3, 3])], "ii"),
        "fmod of integers": one("Mod", [np.array([-7, 7, -7, 7]), np.array([3, -3, -3, 3])], "ii", fmod=1),
        "integer division": one("Div", [np.array([-7, 7, -7, 7]), np.array([2, -2, -2, 2])], "ii"),
        "shift by all bits": one(
            "BitShift", [np.array([1, 255, 128, 3], "uint8"), np.array([7, 1, 0, 2], "uint8")], "uu", direction="LEFT"
        ),
        "shift down": one(
            "BitShift", [np.array([1, 255, 128, 3], "uint8"), np.array([7, 1, 0, 2], "uint8")], "uu", direction="RIGHT"
        ),
        "scalar": one("Sqrt", [np.float32(2)], "f"),
        "no rows": one("Relu", [np.zeros((0, 3), "float32")], "f"),
        "sum of no rows": one("ReduceSum", [np.zeros((0, 3), "float32")], "f", constants={"a": np.array([0])}),
        "product of no columns": one("MatMul", [np.zeros((2, 0), "float32"), np.zeros((0, 3), "float32")], "ff"),
        "join with nothing": one("Concat", [np.zeros((0, 2), "float32"), _floats(3, 2)], "ff", axis=0),
        "reduce over no axes": one(
            "ReduceMean", [x], "f", constants={"a": np.zeros(0, "int64")}, noop_with_empty_axes=1
        ),
        "reduce over all": one("ReduceL2", [x], "f", keepdims=0, opset=13),
        "where it is": one("NonZero", [np.array([[1, 0], [0, 3]], "float32")], "f"),
        "unique": one("Unique", [np.array([3, 1, 3, 2, 1], "float32")], "f", names=["y", "i", "j", "n"]),
        "largest three": one("TopK", [x], "f", constants={"k": np.array([3])}, names=["v", "i"], axis=-1),
        "gather from the end": one("Gather", [x, np.array([-1, 0, -3])], "fi"),
        "scatter adds": one("ScatterND", [x, np.array([[0], [0]]), np.ones((2, 4), "float32")], "fif", reduction="add"),
        "one hot": one(
            "OneHot", [np.array([0, 2, -1, 5])], "i", constants={"d": np.array(4), "v": np.array([2, 7], "float32")}
        ),
        "reshape keeps a size": one("Reshape", [_floats(2, 3, 4)], "f", constants={"s": np.array([0, -1])}),
        "reshape to no elements": one(
            "Reshape", [np.zeros((0, 3), "float32")], "f", constants={"s": np.array([3, 0])}, allowzero=1
        ),
        "expand both ways": one("Expand", [_floats(3, 1)], "f", constants={"s": np.array([2, 1, 4])}),
        "pad by values below 0": one("Pad", [x], "f", constants={"p": np.array([-1, 2, 0, -1])}),
        "pad by reflection": one("Pad", [x], "f", constants={"p": np.array([1, 2, 2, 1])}, mode="reflect"),
        "clip without a low end": one("Clip", [x], "f", constants={"-": 0, "h": np.float32(5)}),
        "clip where the ends cross": one("Clip", [x], "f", constants={"l": np.float32(6), "h": np.float32(2)}),
        "cast of far floats": one("Cast", [np.array([1.9, -1.9, 300.5], "float32")], "f", to=T.INT32),
        "cast to bool": one("Cast", [np.array([0.0, -0.0, 0.1, np.nan], "float32")], "f", to=T.BOOL),
        "power of integers": one("Pow", [np.array([2, 3, -2]), np.array([3, 0, 5])], "ii"),
        "rounds to even": one("Round", [np.array([0.5, 1.5, 2.5, -0.5, -1.5], "float32")], "f"),
        "counted borders": _averaged(7, [1, 0, 1, 2], count_include_pad=1),
        "counted borders rounded up": _averaged(6, [1, 1, 1, 1], count_include_pad=1, ceil_mode=1),
        "uncounted borders rounded up": _averaged(6, [1, 1, 1, 1], ceil_mode=1),
        "lower same borders": one("MaxPool", [_floats(1, 2, 5, 6)], "f", kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
        "sums from the back": one("CumSum", [x], "f", constants={"a": np.array(1)}, reverse=1, exclusive=1),
        "softmax of old opsets": one("Softmax", [_floats(2, 3, 4)], "f", opset=12, axis=1),
        "softmax": one("Softmax", [_floats(2, 3, 4)], "f", axis=1),
        "squeeze of old opsets": one("Squeeze", [_floats(1, 3, 1)], "f", opset=12, axes=[0]),
        "split unevenly": one(
            "Split", [np.arange(7, dtype="float32")], "f", names=["p", "q", "r"], num_outputs=3, shapes={0: [7]}
        ),
        "half floats": one("Mul", [np.array([1.5, 65504], "float16"), np.array([2, 2], "float16")], "hh"),
        "doubles": one("Exp", [np.array([1e-9, 700.0])], "d"),
        "upsampling of old opsets": one(
            "Upsample",
            [_floats(1, 1, 2, 3)],
            "f",
            opset=9,
            constants={"s": np.array([1, 1, 2, 3], "float32")},
            mode="nearest",
        ),
        "resize to corners": one(
            "Resize",
            [_floats(1, 1, 4, 5)],
            "f",
            constants={"-": 0, "--": 0, "s": np.array([1, 1, 7, 3])},
            mode="linear",
            coordinate_transformation_mode="align_corners",
        ),
        "einsum with dots": one("Einsum", [_floats(2, 3, 4), _floats(2, 4, 5)], "ff", equation="...ij,...jk->...ik"),
        "trilu below": one("Trilu", [_floats(3, 4)], "f", constants={"k": np.array(-1)}, upper=0),
        "gelu": one("Gelu", [_floats(9)], "f", opset=20, approximate="tanh"),
        "negative axis of gathered elements": one("GatherElements", [x, np.array([[0, -1], [2, 1]])], "fi", axis=-1),
        "arg of equals": one("ArgMax", [ragged.astype("float32") * 0], "f", axis=1, select_last_index=1),
        "tf-idf": one(
            "TfIdfVectorizer",
            [np.array([[1, 1, 3, 3, 3, 7], [8, 6, 7, 5, 6, 8]])],
            "i",
            mode="TF",
            min_gram_length=1,
            max_gram_length=2,
            max_skip_count=3,
            ngram_counts=[0, 4],
            ngram_indexes=[0, 1, 2, 3, 4, 5, 6],
            pool_int64s=[2, 3, 5, 4, 5, 6, 7, 8, 6, 7],
        ),
    }
    return found

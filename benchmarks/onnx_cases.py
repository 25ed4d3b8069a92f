"""The node cases of ONNX's test suite that pass in maas and in ONNX Runtime: `python -m benchmarks.onnx_cases`."""

import numpy as np

from tests.onnx import backend

_RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
# ONNX's numbers of the dtypes that NumPy has, and bfloat16.
_USUAL = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16}


def kind_of(name, model):
    """The word "usual" for float, integer and boolean cases; else what sets a case apart."""
    ops = {n.op_type for n in model.graph.node}
    types = [v.type for v in (*model.graph.input, *model.graph.output)]
    if name.endswith("_expanded") or "_expanded_" in name:
        return "expanded"
    if ops & _RANDOM:
        return "random"
    if any(n.domain == "ai.onnx.preview.training" for n in model.graph.node) or "train" in name:
        return "training"
    if any(not t.HasField("tensor_type") for t in types) or any("Sequence" in op for op in ops):
        return "sequence"
    codes = {t.tensor_type.elem_type for t in types}
    return "string" if 8 in codes else "usual" if codes <= _USUAL else "small dtypes"


def _ort_passes(case):
    import onnx
    import onnxruntime as ort
    from onnx import numpy_helper

    def array(x):
        return np.asarray(numpy_helper.to_array(x) if isinstance(x, onnx.TensorProto) else x)

    codes = {"bfloat16": 16, "float8_e4m3fn": 17, "float8_e5m2": 19, "int4": 22, "uint4": 21}

    def value(x):
        code = codes.get(str(x.dtype))
        if code is None:
            return ort.OrtValue.ortvalue_from_numpy(x)
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(x.view("u2" if code == 16 else "u1"), code)

    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(case.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [o.name for o in session.get_outputs()]
        for inputs, expected in case.data_sets:
            feed = {i.name: value(array(x)) for i, x in zip(session.get_inputs(), inputs)}
            for y, e in zip(session.run_with_ort_values(names, feed), expected):
                try:
                    y, e = y.numpy(), array(e)
                except RuntimeError:
                    continue  # a dtype that its Python side does not hand over counts for it
                y = y.view(e.dtype) if y.dtype != e.dtype and y.itemsize == e.itemsize else y
                assert (y.dtype, y.shape) == (e.dtype, e.shape)
                np.testing.assert_allclose(
                    y.astype("f8"), e.astype("f8"), rtol=case.rtol, atol=max(case.atol, 1e-7)
                )  # fmt: skip
        return True
    except Exception:  # noqa: BLE001, a case fails in many ways
        return False


def _passes(case):
    try:
        backend.run_case(case)
        return True
    except Exception:  # noqa: BLE001, a case fails in many ways
        return False


def count():
    """Rows of (kind, cases, passed here, passed in ONNX Runtime)."""
    found = {}
    for name, case in backend.cases("node").items():
        row = found.setdefault(kind_of(name, case.model), [0, 0, 0])
        row[0] += 1
        row[1] += _passes(case)
        row[2] += _ort_passes(case)
    return [(kind, *row) for kind, row in sorted(found.items())]


if __name__ == "__main__":
    for kind, total, ours, theirs in count():
        print(f"{kind:12} of {total}: maas {ours}, ONNX Runtime {theirs}")

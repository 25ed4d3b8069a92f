"""maas as a backend of ONNX's own test suite, and the cases of that suite."""

import functools
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.base import Backend, BackendRep

import maas

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")


class MaasRep(BackendRep):
    def __init__(self, model):
        self._model = model

    def run(self, inputs, **kwargs):
        inputs = [np.asarray(numpy_helper.to_array(x) if isinstance(x, onnx.TensorProto) else x) for x in inputs]
        outputs = self._model(*inputs)
        return tuple(y.numpy() for y in (outputs if isinstance(outputs, (list, tuple)) else [outputs]))


class MaasBackend(Backend):
    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        return MaasRep(maas.onnx.load(model.SerializeToString()))

    @classmethod
    def supports_device(cls, device):
        return device == "CPU"


@functools.cache
def cases(kind):
    """dict of name to case of one kind."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {c.name: c for c in load_model_tests(kind=kind)}


def data_sets(case):
    """The model of a case and its lists of (inputs, outputs)."""
    import glob
    import os

    if case.model is not None:
        return case.model, case.data_sets
    model = onnx.load(os.path.join(case.model_dir, "model.onnx"))
    sets = []
    for folder in sorted(glob.glob(os.path.join(case.model_dir, "test_data_set_*"))):
        parts = []
        for side in ("input", "output"):
            paths = glob.glob(os.path.join(folder, f"{side}_*.pb"))
            parts.append([onnx.load_tensor(os.path.join(folder, f"{side}_{i}.pb")) for i in range(len(paths))])
        sets.append(tuple(parts))
    return model, sets


def run_case(case):
    """Runs one case and compares as the suite itself does; raises what goes wrong."""
    model, sets = data_sets(case)
    rep = MaasBackend.prepare(model)
    for inputs, expected in sets:
        results = rep.run(inputs)
        assert len(results) == len(expected)
        for y, e in zip(results, expected):
            e = np.asarray(numpy_helper.to_array(e) if isinstance(e, onnx.TensorProto) else e)
            assert (y.dtype, y.shape) == (e.dtype, e.shape), f"received {y.dtype}{y.shape}, not {e.dtype}{e.shape}"
            if "float" in str(e.dtype):
                np.testing.assert_allclose(
                    y.astype("float64"), e.astype("float64"), rtol=case.rtol, atol=max(case.atol, 1e-7)
                )
            else:
                np.testing.assert_array_equal(y, e)

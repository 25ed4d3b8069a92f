"""Benchmark rows: each builds on maas, its ONNX form is valid, and small ones compute what the reference does."""

import numpy as np
import onnx
import pytest

from benchmarks import model_rows, op_rows
from benchmarks.baselines.onnx_graph import graph
from benchmarks.net import Net
from benchmarks.reference import reference
from benchmarks.runner import error_of, interval
from maas import initializers
from maas.models.programs import inference_program
from tests.zoo.models import SMALL, make

ROWS = {row.label: row for row in (*op_rows.rows(), *model_rows.rows())}
# One batch of each: others build the same.
BUILT = {label.split(" batch ")[0]: row for label, row in reversed(ROWS.items())}
SMALL_ROWS = [label for label, row in ROWS.items() if label.startswith(("K6 GEMM", "K7", "K16", "M1 ", "M4 MLP 16"))]


@pytest.fixture
def zeros(monkeypatch):
    """Weights of zeros, which calloc gives in no time."""
    for kind in ("GlorotUniform", "HeNormal", "VarianceScaling", "TruncatedNormal", "RandomNormal", "RandomUniform"):
        monkeypatch.setattr(getattr(initializers, kind), "draw", staticmethod(lambda shape, dtype: np.zeros(shape)))


def parameters(net):
    return sum(a.size for arrays in net.weights.values() for a in arrays)


@pytest.mark.parametrize("label", BUILT)
def test_a_row_builds_and_its_onnx_form_is_valid(label, zeros, monkeypatch):
    net = BUILT[label].net()
    if parameters(net) > 2e7:  # the same graph, but megabytes of zeros less
        for name, arrays in net.weights.items():
            net.weights[name] = [np.broadcast_to(np.float32(0), a.shape) for a in arrays]
        monkeypatch.setattr("benchmarks.baselines.onnx_graph.OnnxGraph.constant", _declared)
    onnx.checker.check_model(graph(net)[0], full_check=True)
    assert inference_program(net.build(__import__("maas")))[0]


def _declared(self, a, dtype="float32"):
    """Large constants as inputs of the graph: checked for their shape, without their bytes."""
    from onnx import helper, numpy_helper

    from benchmarks.baselines.onnx_graph import TYPES

    name = f"w{len(self.tensors) + len(self.inputs)}"
    if np.size(a) > 1e6:
        self.inputs.append(helper.make_tensor_value_info(name, TYPES[dtype], np.shape(a)))
    else:
        self.tensors.append(numpy_helper.from_array(np.array(a, dtype, order="C"), name))
    return name


@pytest.mark.parametrize("label", SMALL_ROWS)
def test_a_row_computes_what_the_reference_does(label):
    import maas

    net = ROWS[label].net()
    got = np.asarray(inference_program(net.build(maas))[0](*net.inputs)[0])
    wanted, macs = reference(net)
    assert error_of(got, wanted) < 1e-5
    assert macs > 0


@pytest.mark.parametrize("name", SMALL)
def test_onnx_form_computes_what_the_reference_does(name):
    from onnx.reference import ReferenceEvaluator

    model, inputs = make(name)
    net = Net.of(model, inputs)
    if reference(net)[1] > 2e6:
        inputs = net.inputs = [x[:1] for x in inputs]
    proto, builder, first = graph(net)
    feed = {
        f"x{i}": np.moveaxis(x, -1, 1) if tuple(s) != x.shape else x
        for i, (x, s) in enumerate(zip(inputs, builder.input_shapes))
    }
    got = ReferenceEvaluator(proto).run(None, feed)[0]
    assert error_of(np.moveaxis(got, 1, -1) if first else got, reference(net)[0]) < 1e-5


@pytest.mark.parametrize("name, shape, macs", [("LeNet", (28, 28, 1), 416_520), ("ResNet18", (224, 224, 3), 1.814e9)])
def test_published_numbers_of_multiply_adds(name, shape, macs, zeros):
    from maas import zoo

    net = Net.of(getattr(zoo, name)(), [np.zeros((1, *shape), "float32")])
    assert reference(net)[1] == pytest.approx(macs, rel=1e-3)


def test_neighbours_are_other_sizes_near_by():
    row, rng = ROWS["K13 conv 3x3 s2 128@56"], np.random.default_rng(0)
    near, grown = row.neighbour(rng, grown=False), row.neighbour(rng, grown=True)
    assert near.sizes["stride"] == grown.sizes["stride"] == 2
    for name in ("size", "ic", "oc"):
        assert abs(near.sizes[name] - row.sizes[name]) == 1
        assert grown.sizes[name] in (row.sizes[name], row.sizes[name] * 3 // 2)
    assert grown.sizes != row.sizes or grown.batch != row.batch
    assert near.net().inputs[0].shape == (near.batch, near.sizes["size"], near.sizes["size"], near.sizes["ic"])


def test_interval_holds_the_median():
    middle, low, high = interval([1.0, 1.1, 1.2, 1.3, 5.0])
    assert low <= middle == 1.2 <= high

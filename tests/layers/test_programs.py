"""What a layer's computation becomes: a graph that runs without layers, and kernels written for the machine."""

import re

import numpy as np
import pytest

import maas
from maas import _core, layers, tree
from maas.data import get_data_adapter
from maas.data.epochs import EpochIterator
from maas.saving.maas_file import load_graph
from tests.layers import pair
from tests.layers.layer_cases import CASES, inputs_of

# Ops of float32 results that may run on their plain kernel, and why.
PLAIN = {
    "element_count": "one number: how many elements there are",
    "take": "copies whole rows; memory bounds it, and there is one kernel",
    "take_gradient": "adds whole rows in the order of their indices; memory bounds it, and there is one kernel",
    "random_normal": "inverts the distribution function in double; in training only",
}


def model_of(case, slopes=False):
    """The layer as a model; with `slopes` behind a trainable layer, so that its own backward pass is needed."""
    inputs = [maas.Input(s[1:], dtype=case.dtype) for s in case.shapes]
    given = inputs
    if slopes and case.dtype == "float32":
        given = [layers.PReLU(shared_axes=list(range(1, len(x.shape))))(x) for x in inputs]
    outputs = pair.call(case.make(layers), given, **case.call)
    return maas.Model(inputs, tree.flatten(outputs))


def plain_steps(program):
    """Ops of float32 results on a plain kernel, and whose reasons are not known."""
    found = re.findall(r"^\s*(?:step|prepare) \d+: (\w+) (\w+_ref)\b.*-> (\w+)", program.plan, re.M)
    return {(op, kernel) for op, kernel, dtype in found if dtype == "float32" and op not in PLAIN}


@pytest.mark.filterwarnings("ignore:.*has no trainable weights")
@pytest.mark.parametrize("case", [c for c in CASES if c.name != "flatten_rank_1"], ids=lambda c: c.name)
def test_layer(case, tmp_path):
    """Saved as `.maas` it has the same bits without layers; forward and backward run on kernels for the machine."""
    model, arrays = model_of(case), inputs_of(case)
    given = arrays if len(arrays) > 1 else arrays[0]
    model.save(tmp_path / "m.maas")
    graph = load_graph(tmp_path / "m.maas")
    wanted = [np.asarray(y) for y in tree.flatten(model.predict(given, verbose=0))]
    found = [np.asarray(y) for y in tree.flatten(graph(*arrays))]
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted):
        np.testing.assert_array_equal(a, b)
    if "avx2" not in _core.isa():
        return
    assert plain_steps(graph.program) == set()
    if not all(y.dtype == np.float32 for y in wanted) or case.name == "multi_query_scores":
        return  # its scores do not broadcast to a batch of targets
    assert plain_steps(training_program(model_of(case, slopes=True), given, wanted)) == set()


def training_program(model, given, wanted):
    model.compile("sgd", "mse")
    layout, key, _ = EpochIterator(get_data_adapter(given, wanted if len(wanted) > 1 else wanted[0])).peek()
    return model._step("train", layout, key).program


def test_every_reason_is_needed():
    """The list is what an embedding with noise runs on, so the test sees plain kernels where there are some."""
    ids = maas.Input((4,), dtype="int32")
    model = maas.Model(ids, layers.GaussianNoise(0.1)(layers.Embedding(9, 5)(ids)))
    program = training_program(model, np.zeros((3, 4), "int32"), [np.zeros((3, 4, 5), "float32")])
    found = re.findall(r"step \d+: (\w+) \w+_ref\b.*-> float32", program.plan)
    assert set(found) == set(PLAIN)

"""Several functions in one `.maas` file, run without their layers."""

import numpy as np
import pytest

import maas
from maas import layers
from maas.export import ExportArchive

X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
SPEC = layers.InputSpec(shape=(None, 3), dtype="float32")


def model():
    return maas.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dropout(0.5), layers.Dense(2)], name="net")


def test_two_endpoints(tmp_path, capsys):
    net = model()
    archive = ExportArchive()
    archive.track(net)
    archive.add_endpoint("serve", net, [SPEC])
    archive.add_endpoint(
        "both",
        lambda x, scale: {"scaled": net(x, training=False) * scale, "sum": maas.ops.sum(x, axis=1)},
        [SPEC, maas.KerasTensor((), "float32", name="scale")],
    )
    archive.write_out(tmp_path / "m.maas")
    assert capsys.readouterr().out.startswith("exported endpoints serve, both to ")
    loaded = maas.models.load_model(tmp_path / "m.maas")
    expected = net.predict(X, verbose=0)
    assert loaded.endpoints == ["both", "predict", "serve"] and loaded.name == "net"
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), expected)
    np.testing.assert_array_equal(loaded.endpoint("serve").predict(X[:2], verbose=0), expected[:2])
    both = loaded.endpoint("both")
    assert [x.name for x in both.inputs] == ["input_0", "scale"] and [y.name for y in both.outputs] == ["scaled", "sum"]
    scaled, total = both(X, np.float32(3.0))
    np.testing.assert_allclose(scaled, 3 * expected, rtol=1e-6)
    np.testing.assert_allclose(total, X.sum(1), rtol=1e-5)
    assert set(loaded.weights) == {f"layers/{n}/vars/{i}" for n in ("dense", "dense_1") for i in (0, 1)}
    with pytest.raises(ValueError, match="no function 'other'"):
        loaded.endpoint("other")


def test_a_functional_model_needs_no_signature_and_collections_are_kept(tmp_path):
    net = model()
    archive = ExportArchive()
    archive.track_and_add_endpoint("predict", net)
    other = maas.Variable(np.arange(3.0), name="other")
    archive.add_variable_collection("own", [other, net.weights[0]])
    archive.write_out(tmp_path / "m.maas", verbose=False)
    loaded = maas.models.load_model(tmp_path / "m.maas")
    assert loaded.endpoints == ["predict"]
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), net.predict(X, verbose=0))


@pytest.mark.parametrize("call, text", [
    (lambda a: ExportArchive("saved_model"), "must be 'maas'"),
    (lambda a: a.track(3), "only built layers"), (lambda a: a.track(layers.Dense(2)), "only built layers"),
    (lambda a: a.add_endpoint("x", lambda x: x), "needs an `input_signature`"),
    (lambda a: a.add_endpoint("x y", lambda x: x, [SPEC]), "must be an identifier"),
    (lambda a: a.add_endpoint("x", lambda x: x, ["float32"]), "specs with a shape and a dtype"),
    (lambda a: [a.add_endpoint("x", lambda x: x * 2, [SPEC]) for _ in range(2)], "must differ, received a second 'x'"),
    (lambda a: a.add_variable_collection("x", [1]), "a list of Variables"),
    (lambda a: a.write_out("m.onnx"), "must end in .maas"), (lambda a: a.write_out("m.maas"), "received none"),
])  # fmt: skip
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call(ExportArchive())


@pytest.mark.parametrize("accuracy", ["fast", "exact"])
def test_the_accuracy_of_a_model_goes_into_the_file(accuracy, tmp_path):
    image = layers.Input((24, 24, 16))
    net = maas.Model(image, layers.Conv2D(16, 3, padding="same")(image)).optimize(accuracy=accuracy)
    archive = ExportArchive()
    archive.track_and_add_endpoint("serve", net)
    archive.write_out(tmp_path / "m.maas", verbose=False)
    kernels = [kernel for _, kernel in maas.models.load_model(tmp_path / "m.maas").program.kernels]
    assert any("winograd" in k for k in kernels) == (accuracy == "fast"), kernels

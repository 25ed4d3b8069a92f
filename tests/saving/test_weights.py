"""Loading weights: errors name the layer and the shapes, nothing is skipped in silence, a failure changes nothing."""

import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

import maas
from maas.saving import load_model
from tests.saving.models import state


def model(units=4, classes=2, name=None, last="dense"):
    return maas.Sequential(
        [maas.Input((3,)), maas.layers.Dense(units, name="first"), maas.layers.Dense(classes, name="second")], name=name
    )


def save(m, path):
    (m.save_weights if path.name.endswith(".weights.h5") else m.save)(path)
    return path


@pytest.mark.parametrize("name", ["m.weights.h5", "m.keras", "m.h5"])
class TestMismatch:
    def test_shapes(self, tmp_path, name):
        path = save(model(units=4), tmp_path / name)
        other = model(units=5)
        before = state(other)
        with pytest.raises(ValueError, match=r"Dense 'first'.*\(3, 5\).*received \(3, 4\)"):
            other.load_weights(path)
        after = state(other)
        assert all(np.array_equal(before[k], after[k]) for k in before)

    def test_only_the_last_layer_differs_and_nothing_is_written(self, tmp_path, name):
        path = save(model(classes=2), tmp_path / name)
        other = model(classes=3)
        before = state(other)
        with pytest.raises(ValueError, match=r"Dense 'second'.*\(4, 3\).*received \(4, 2\)"):
            other.load_weights(path)
        assert all(np.array_equal(before[k], v) for k, v in state(other).items())

    def test_skip_mismatch_warns_and_loads_the_rest(self, tmp_path, name):
        saved = model(classes=2)
        path = save(saved, tmp_path / name)
        other = model(classes=3)
        before = state(other)
        with pytest.warns(UserWarning, match="skipped.*second"):
            other.load_weights(path, skip_mismatch=True)
        after = state(other)
        np.testing.assert_array_equal(after["w0"], state(saved)["w0"])
        np.testing.assert_array_equal(after["w2"], before["w2"])

    def test_missing_and_superfluous_layers(self, tmp_path, name):
        path = save(model(), tmp_path / name)
        short = maas.Sequential([maas.Input((3,)), maas.layers.Dense(4)])
        with pytest.raises(ValueError, match="received"):
            short.load_weights(path)
        path = save(short, tmp_path / f"short-{name}")
        with pytest.raises(ValueError, match="received"):
            model().load_weights(path)

    def test_not_built(self, tmp_path, name):
        path = save(model(), tmp_path / name)
        with pytest.raises(ValueError, match="not built"):
            maas.Sequential([maas.layers.Dense(4)]).load_weights(path)
        no_weights, whole = maas.Sequential([maas.layers.Dense(4)]), name.endswith(".keras")
        with pytest.warns(match="no weights") if whole else pytest.raises(ValueError, match="not built"):
            save(no_weights, tmp_path / f"no-{name}")
        assert sorted(os.listdir(tmp_path)) == [name, f"no-{name}"][: 1 + whole]
        if whole:  # as Keras does: an architecture
            assert maas.saving.load_model(tmp_path / f"no-{name}").layers[0].units == 4


def test_optimizer_state_in_weights_files(tmp_path):
    saved = model()
    saved.compile(maas.optimizers.Adam(), loss="mse")
    saved.optimizer.build(saved.trainable_variables)
    for v in saved.optimizer.variables[2:]:
        v.assign(np.full(v.shape, 0.5, "float32"))
    path = save(saved, tmp_path / "m.weights.h5")
    # A model that is compiled but not trained gets the slots; one that is not compiled needs none.
    fresh = model()
    fresh.compile(maas.optimizers.Adam(), loss="mse")
    fresh.load_weights(path)
    assert all(np.array_equal(v, state(saved)[k]) for k, v in state(fresh).items()) and len(state(fresh)) == 14
    plain = model()
    plain.load_weights(path)
    np.testing.assert_array_equal(state(plain)["w0"], state(saved)["w0"])
    # Another optimizer: the weights come, its own state starts anew, and that is said.
    other = model()
    other.compile(maas.optimizers.SGD(momentum=0.9), loss="mse")
    with pytest.warns(UserWarning, match="SGD.*expected 6 variables.*received 10.*starts anew"):
        other.load_weights(path)
    np.testing.assert_array_equal(state(other)["w0"], state(saved)["w0"])


@maas.saving.register_keras_serializable("tests")
class Block(maas.layers.Layer):
    """Sub-layers as attributes, in a list and in a dict."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = maas.layers.Dense(units)
        self.more = [maas.layers.Dense(units), maas.layers.Dense(units)]
        self.named = {"a": maas.layers.Dense(units), "b": [maas.layers.Dense(units)]}

    def build(self, input_shape):
        for layer in self.parts():
            layer.build((None, self.units))
        self.scale = self.add_weight(shape=(), name="scale")
        self.built = True

    def parts(self):
        return [self.first, *self.more, self.named["a"], *self.named["b"]]

    def call(self, x):
        for layer in self.parts():
            x = layer(x)
        return x * self.scale

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_sublayers_in_containers_and_registered_classes(tmp_path):
    saved = maas.Sequential([maas.Input((3,)), Block(3), Block(3)])
    for suffix in ("keras", "h5"):
        saved.save(tmp_path / f"m.{suffix}")
        again = load_model(tmp_path / f"m.{suffix}")
        assert [type(x) for x in again.layers] == [Block, Block]
        assert all(np.array_equal(v, state(saved)[k]) for k, v in state(again).items()) and len(state(again)) == 22
    from maas.saving.hdf5 import open_hdf5
    from maas.saving.weights_file import weights_bytes

    with open_hdf5(weights_bytes(saved)) as tree:
        paths = {p.rsplit("/", 2)[0] for p in tree.datasets}
    inner = ["", "/first", "/more/dense", "/more/dense_1", "/named/dense", "/named/container/dense"]
    assert paths == {f"layers/{b}{i}" for b in ("block", "block_1") for i in inner}


@maas.saving.register_keras_serializable("tests")
class Small(maas.Model):
    """A subclassed model whose attributes come before and after `layers` in the alphabet."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.a = maas.layers.Dense(units, activation="relu")
        self.blocks = [maas.layers.Dense(units) for _ in range(2)]
        self.out = maas.layers.Dense(2)

    def call(self, x):
        x = self.a(x)
        for block in self.blocks:
            x = block(x)
        return self.out(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_subclassed_model(tmp_path, name):
    x = np.random.default_rng(0).standard_normal((3, 5)).astype("float32")
    saved = Small()
    saved(x)
    path = save(saved, tmp_path / name)
    if name == "m.weights.h5":
        again = Small()
        again(x)
        again.load_weights(path)
    else:
        again = load_model(path)
        assert type(again) is Small
    np.testing.assert_array_equal(again(x).numpy(), saved(x).numpy())


def test_by_name(tmp_path):
    saved = model()
    path = save(saved, tmp_path / "m.h5")
    other = maas.Sequential([maas.Input((3,)), maas.layers.Dense(4, name="first"), maas.layers.Dense(9, name="new")])
    before = state(other)
    other.load_weights(path, by_name=True)
    np.testing.assert_array_equal(state(other)["w0"], state(saved)["w0"])
    np.testing.assert_array_equal(state(other)["w2"], before["w2"])
    with pytest.raises(ValueError, match="no layer has the name"):
        maas.Sequential([maas.Input((3,)), maas.layers.Dense(4, name="x")]).load_weights(path, by_name=True)
    with pytest.raises(ValueError, match="by_name is for legacy"):
        other.load_weights(tmp_path / "m.keras", by_name=True)


def test_a_layer_with_its_own_format(tmp_path):
    class Table(maas.layers.Layer):
        def build(self, input_shape):
            self.table = self.add_weight(shape=(2,), name="table")
            self.built = True

        def call(self, x):
            return x

        def save_own_variables(self, store):
            store["half"] = self.table.numpy() / 2

        def load_own_variables(self, store):
            if store["half"][0] < 0:
                raise KeyError("negative")
            self.table.assign(store["half"] * 2)

    def make():
        return maas.Sequential([maas.Input((3,)), maas.layers.Dense(3), Table()])

    saved = make()
    saved.layers[-1].table.assign(np.float32([4, 6]))
    path = save(saved, tmp_path / "m.weights.h5")
    other = make()
    other.load_weights(path)
    assert other.layers[-1].table.numpy().tolist() == [4, 6]
    # Its failure puts back what other layers had already got.
    saved.layers[-1].table.assign(np.float32([-4, 6]))
    saved.layers[0].set_weights([np.ones((3, 3)), np.ones(3)])
    save(saved, path)
    before = state(other)
    with pytest.raises(ValueError, match="Table.*load_own_variables"):
        other.load_weights(path)
    assert all(np.array_equal(before[k], v) for k, v in state(other).items())


def test_overwrite_and_missing_folder(tmp_path):
    path = save(model(), tmp_path / "m.keras")
    content = path.read_bytes()
    with pytest.raises(FileExistsError):
        model().save(path, overwrite=False)
    with pytest.raises(FileNotFoundError, match="folder"):
        model().save(tmp_path / "no" / "m.keras")
    assert path.read_bytes() == content and os.listdir(tmp_path) == ["m.keras"]


def test_checksums_are_verified(tmp_path):
    from maas.saving.archive import archive_bytes, read_archive

    path = save(model(), tmp_path / "m.keras")
    members = {k: bytes(v) for k, v in read_archive(path.read_bytes()).items()}
    for name in ("config.json", "model.weights.h5"):
        # One more space, or one more byte: valid, with a right CRC, and still not what was saved.
        path.write_bytes(archive_bytes({**members, name: members[name] + b" "}))
        with pytest.raises(ValueError, match=f"{name} does not match its sha256"):
            load_model(path)
    path.write_bytes(archive_bytes({k: v for k, v in members.items() if k != "config.json"}))
    with pytest.raises(ValueError, match="config.json.*missing"):
        load_model(path)
    path.write_bytes(archive_bytes({**members, "extra.py": b""}))
    with pytest.raises(ValueError, match="unknown members.*extra.py"):
        load_model(path)


SAVER = """
import sys
import numpy as np
import maas
models = []
for value in (1.0, 2.0):
    m = maas.Sequential([maas.Input((300,)), maas.layers.Dense(300)])
    m.set_weights([np.full((300, 300), value, "float32"), np.full(300, value, "float32")])
    models.append(m)
models[0].save(sys.argv[1])
print("ready", flush=True)
while True:
    for m in models:
        m.save(sys.argv[1])
"""


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_kill_9_while_saving_leaves_the_old_or_the_new_model(tmp_path, name):
    path = tmp_path / name
    for attempt in range(4):
        child = subprocess.Popen([sys.executable, "-c", SAVER, str(path)], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(0.01 * (attempt + 1))
        child.send_signal(signal.SIGKILL)
        child.wait()
        kernel, bias = load_model(path).get_weights()
        assert kernel[0, 0] in (1.0, 2.0) and (kernel == kernel[0, 0]).all() and (bias == kernel[0, 0]).all()


@pytest.mark.parametrize("suffix", ["keras", "h5", "maas"])
def test_compiled_but_never_trained(suffix, tmp_path):
    """The optimizer of such a file has a counter and a learning rate only; that is no fault and no warning."""
    model = maas.Sequential([maas.Input((3,)), maas.layers.Dense(2)])
    model.compile(maas.optimizers.Adam(0.125), "mse")
    model.save(tmp_path / f"m.{suffix}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = maas.models.load_model(tmp_path / f"m.{suffix}")
    assert float(again.optimizer.learning_rate) == 0.125 and int(again.optimizer.iterations) == 0
    again.fit(np.ones((4, 3), "float32"), np.ones((4, 2), "float32"), verbose=0)

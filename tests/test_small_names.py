"""Names that are small: one call of each beside Keras's, and what it gives."""

import keras
import numpy as np
import pytest

import maas

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5)).astype("float32")
P = (np.abs(X) / np.abs(X).sum(1, keepdims=True)).astype("float32")
ONE_HOT, LABELS = np.eye(5, dtype="float32")[[1, 0, 4, 2]], np.array([1, 0, 4, 2])
BITS = (X > 0).astype("float32")
NEST = {"b": [1, (2, 3)], "a": 4}
ACTIVATIONS = (
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu linear log_sigmoid "
    "log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid "
    "squareplus tanh tanh_shrink"
)
POINTS = X[:, :4].copy()
TWO = [POINTS, POINTS[::-1].copy()]

# (module, name, arguments): what the function gives.
CALLS = [
    *(("activations", name, (POINTS,)) for name in ACTIVATIONS.split()),
    ("activations", "threshold", (X, 0.1, 2.0)),
    *(("metrics", name, (BITS, P)) for name in ("binary_accuracy", "concordance_correlation", "pearson_correlation")),
    *(("metrics", name, (ONE_HOT, P)) for name in ("categorical_accuracy", "top_k_categorical_accuracy")),
    *(("metrics", n, (LABELS, P)) for n in ("sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy")),
    ("backend", "epsilon", ()), ("backend", "floatx", ()), ("backend", "image_data_format", ()),
    ("backend", "is_float_dtype", ("float16",)), ("backend", "is_int_dtype", ("uint8",)),
    ("backend", "result_type", ("int32", "float16")), ("backend", "get_uid", ("a name of nothing else",)),
    ("utils", "normalize", (X,)), ("utils", "to_categorical", (LABELS, 5)),
    ("utils", "standardize_dtype", ("float32",)),
    ("utils", "is_keras_tensor", (X,)), ("utils", "pack_x_y_sample_weight", (1, 2)),
    ("utils", "unpack_x_y_sample_weight", ((1, 2),)), ("utils", "is_interactive_logging_enabled", ()),
    ("tree", "flatten", (NEST,)), ("tree", "flatten_with_path", (NEST,)), ("tree", "is_nested", (NEST,)),
    ("tree", "lists_to_tuples", (NEST,)), ("tree", "map_structure", (lambda x: x + 1, NEST)),
    ("tree", "map_shape_structure", (lambda s: s[1:], {"a": (None, 2)})),
    ("tree", "pack_sequence_as", (NEST, [1, 2, 3, 4])), ("tree", "traverse", (lambda s: 0 if s == 2 else None, NEST)),
    ("tree", "assert_same_structure", (NEST, NEST)),
    ("saving", "get_registered_name", (dict,)), ("saving", "get_registered_object", ("nothing of this name",)),
    ("config", "is_nnx_enabled", ()),
    *(("layers", name, (TWO,)) for name in "add average concatenate maximum minimum multiply subtract".split()),
    ("layers", "dot", (TWO, 1)),
]  # fmt: skip
# (module, class, options): an object that is called on a matrix, and its config.
OBJECTS = [
    ("constraints", "MaxNorm", {"max_value": 0.7}), ("constraints", "NonNeg", {}), ("constraints", "UnitNorm", {}),
    ("constraints", "MinMaxNorm", {"min_value": 0.3, "max_value": 0.6, "rate": 0.5}),
    ("regularizers", "L1", {"l1": 0.25}), ("regularizers", "L2", {"l2": 0.25}),
    ("regularizers", "L1L2", {"l1": 0.25, "l2": 0.5}), ("regularizers", "OrthogonalRegularizer", {"factor": 0.25}),
    ("initializers", "Constant", {"value": 2.0}), ("initializers", "Zeros", {}), ("initializers", "Ones", {}),
    ("initializers", "Identity", {"gain": 2.0}),
]  # fmt: skip
FAMILIES = {
    "activations": "relu", "constraints": "max_norm", "initializers": "he_normal", "losses": "mse", "metrics": "mse",
    "optimizers": "adam", "regularizers": "l2", "dtype_policies": "mixed_bfloat16",
}  # fmt: skip

CLAIMS = {f"{module}.{name}" for module, name, _ in CALLS + OBJECTS}
CLAIMS |= {f"{family}.{verb}" for family in FAMILIES for verb in ("get", "serialize", "deserialize")}


def plain(y):
    if isinstance(y, (list, tuple)):
        return [plain(v) for v in y]
    if isinstance(y, dict):
        return {k: plain(v) for k, v in y.items()}
    return np.asarray(y) if hasattr(y, "shape") else y


def assert_same(a, b):
    a, b = plain(a), plain(b)
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.shape == b.shape and a.dtype.kind == b.dtype.kind
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-6)
    elif isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            assert_same(x, y)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    else:
        assert a == b


@pytest.mark.parametrize("module, name, args", CALLS, ids=[f"{i}-{c[0]}.{c[1]}" for i, c in enumerate(CALLS)])
def test_call(module, name, args):
    ours, theirs = (getattr(lib, module) for lib in (maas, keras))
    assert_same(getattr(ours, name)(*args), getattr(theirs, name)(*args))


@pytest.mark.parametrize("module, name, options", OBJECTS, ids=[f"{c[0]}.{c[1]}" for c in OBJECTS])
def test_object(module, name, options):
    ours, theirs = (getattr(getattr(lib, module), name)(**options) for lib in (maas, keras))
    argument = (4, 5) if module == "initializers" else X
    assert_same(ours(argument), theirs(argument))
    if name == "Identity":  # Keras forgets the gain
        assert ours.get_config() == options and theirs.get_config() == {}
        return
    assert ours.get_config() == theirs.get_config()
    assert getattr(maas, module).serialize(ours) == getattr(keras, module).serialize(theirs)


@pytest.mark.parametrize("family, name", FAMILIES.items())
def test_family(family, name):
    """`get`, `serialize` and `deserialize` go round, and read what Keras wrote."""
    ours, theirs = getattr(maas, family), getattr(keras, family)
    found, oracle = ours.get(name), theirs.get(name)
    assert getattr(found, "__name__", type(found).__name__) == getattr(oracle, "__name__", type(oracle).__name__)
    written, wanted = ours.serialize(found), theirs.serialize(oracle)
    if family not in ("optimizers", "losses"):  # learning rates differ in their last digit
        assert written == wanted
    again, read = ours.deserialize(written), ours.deserialize(wanted)
    assert type(again) is type(read) is type(found)


def test_settings_go_round():
    for lib in (maas, keras):
        b = lib.backend
        before = b.epsilon(), b.floatx(), b.image_data_format()
        try:
            b.set_epsilon(1e-3), b.set_floatx("float64"), b.set_image_data_format("channels_first")
            assert (b.epsilon(), b.floatx(), b.image_data_format()) == (1e-3, "float64", "channels_first")
            assert lib.config.epsilon() == 1e-3
        finally:
            b.set_epsilon(before[0]), b.set_floatx(before[1]), b.set_image_data_format(before[2])
        policy = lib.config.dtype_policy()
        try:
            lib.config.set_dtype_policy("mixed_bfloat16")
            assert lib.layers.Dense(1).compute_dtype == "bfloat16"
        finally:
            lib.config.set_dtype_policy(policy.name)
        lib.utils.disable_interactive_logging()
        assert not lib.utils.is_interactive_logging_enabled()
        lib.utils.enable_interactive_logging()
        assert lib.utils.is_interactive_logging_enabled()


CLAIMS |= {"backend.set_epsilon", "backend.set_floatx", "backend.set_image_data_format", "config.dtype_policy"}
CLAIMS |= {"config.set_dtype_policy", "utils.disable_interactive_logging", "utils.enable_interactive_logging"}
CLAIMS |= {"backend.backend"}


def test_registered_objects():
    """A class under a package's name is found again by it, in a scope or for good."""
    for lib in (maas, keras):

        @lib.saving.register_keras_serializable(package="small")
        class Own(lib.layers.Layer):
            pass

        assert lib.saving.get_registered_name(Own) == "small>Own"
        assert lib.saving.get_registered_object("small>Own") is Own
        config = lib.saving.serialize_keras_object(Own(name="x"))
        assert config["registered_name"] == "small>Own"
        assert type(lib.saving.deserialize_keras_object(config)) is Own
        with lib.saving.CustomObjectScope({"other": Own}):
            assert lib.saving.get_registered_object("other") is Own
        assert lib.saving.get_registered_object("other") is None
        assert lib.saving.get_custom_objects()["small>Own"] is Own
        del lib.saving.get_custom_objects()["small>Own"]
    assert maas.backend.backend() == "maas"


CLAIMS |= {
    f"saving.{n}"
    for n in (
        "CustomObjectScope get_custom_objects register_keras_serializable serialize_keras_object "
        "deserialize_keras_object"
    ).split()
}


def test_mel_spectrogram():
    """One sound at a time: Keras's `top_db` counts from the largest value of the whole batch."""
    sound = RNG.normal(size=(3, 700)).astype("float32")
    for options in ({}, {"power_to_db": False, "mag_exp": 1.0}, {"max_freq": 3000, "ref_power": 0.1, "top_db": 20.0}):
        options = {"fft_length": 64, "sequence_stride": 16, "num_mel_bins": 9, "sampling_rate": 8000, **options}
        ours, theirs = maas.layers.MelSpectrogram(**options), keras.layers.MelSpectrogram(**options)
        for x in sound:
            a, b = np.asarray(ours(x[None])), np.asarray(theirs(x[None]))
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)
        together = np.asarray(ours(sound))
        np.testing.assert_array_equal(together[1:2], np.asarray(ours(sound[1:2])))
        config = ours.get_config()
        assert {k: config[k] for k in options} == options
        again = maas.layers.deserialize(keras.layers.serialize(theirs))
        np.testing.assert_array_equal(np.asarray(again(sound)), together)
    with pytest.raises(ValueError, match="fft_length must be at least sequence_length=9, received fft_length=8"):
        maas.layers.MelSpectrogram(fft_length=8, sequence_length=9)


CLAIMS |= {"layers.MelSpectrogram"}


def test_log_spectrograms():
    """Modes with a logarithm or an angle are compared where the kernels' last digits cannot decide."""
    x = RNG.normal(size=(2, 60, 1)).astype("float32")
    for mode in ("log", "magnitude", "imag"):
        ours, theirs = (lib.layers.STFTSpectrogram(mode, 16, 4) for lib in (maas, keras))
        np.testing.assert_allclose(np.asarray(ours(x)), np.asarray(theirs(x)), rtol=1e-4, atol=1e-4)
    angles = np.asarray(maas.layers.STFTSpectrogram("angle", 16, 4)(x))
    parts = np.asarray(maas.layers.STFTSpectrogram("stft", 16, 4)(x))
    np.testing.assert_allclose(angles, np.arctan2(parts[..., 9:], parts[..., :9]), atol=1e-6)


def test_seeds_and_sessions():
    for lib in (maas, keras):
        draws = []
        for _ in range(2):
            lib.utils.set_random_seed(3)
            draws.append((np.random.random(), np.asarray(lib.random.normal((3,)))))
        assert draws[0][0] == draws[1][0] and np.array_equal(draws[0][1], draws[1][1])
        lib.utils.clear_session()
        assert lib.layers.Dense(1).name == "dense"


def test_draws_have_keras_shapes_and_dtypes():
    for name, args in {
        "uniform": ((2, 3),), "normal": ((2, 3),), "truncated_normal": ((2, 3),), "randint": ((2, 3), 0, 9),
        "categorical": (np.zeros((2, 4), "float32"), 5), "dropout": (X, 0.5), "shuffle": (X,),
        "gamma": ((2, 3), 2.0), "beta": ((2, 3), 2.0, 3.0), "binomial": ((2, 3), 5.0, 0.5),
    }.items():  # fmt: skip
        ours, theirs = (getattr(lib.random, name)(*args, seed=1) for lib in (maas, keras))
        assert tuple(ours.shape) == tuple(theirs.shape) and ours.dtype == str(theirs.dtype), name
    np.testing.assert_array_equal(
        np.asarray(maas.random.SeedGenerator(3).state), np.asarray(keras.random.SeedGenerator(3).state)
    )


CLAIMS |= {"utils.set_random_seed", "utils.clear_session"}
CLAIMS |= {
    f"random.{n}"
    for n in "uniform normal truncated_normal randint categorical dropout shuffle gamma beta binomial".split()
}
CLAIMS |= {"random.SeedGenerator"}


def own_classes(lib):
    """What classes of the user's own give, made from the base classes."""
    o = lib.ops

    class Ramp(lib.initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return o.reshape(o.arange(int(np.prod(shape)), dtype="float32"), shape) / 50.0

    class Cubes(lib.regularizers.Regularizer):
        def __call__(self, x):
            return o.sum(x * x * x)

    class Halves(lib.constraints.Constraint):
        def __call__(self, w):
            return w / 2.0

    class Largest(lib.metrics.Metric):
        def __init__(self):
            super().__init__(name="largest")
            self.top = self.add_variable((), initializer="zeros", name="top")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.top.assign(o.maximum(self.top, o.max(y_pred)))

        def result(self):
            return self.top.value

    class Falling(lib.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.05 / (1.0 + o.cast(step, "float32"))

        def get_config(self):
            return {}

    class Twice(lib.layers.Wrapper):
        def call(self, x):
            return self.layer(self.layer(x))

    dense = lib.layers.Dense(5, kernel_initializer=Ramp(), kernel_regularizer=Cubes(), kernel_constraint=Halves())
    model = lib.Sequential([lib.Input((5,)), dense])
    model.compile(lib.optimizers.SGD(Falling()), "mse", metrics=[Largest()])
    history = model.fit(X, X, epochs=3, batch_size=2, shuffle=False, verbose=0)
    y = Twice(dense)(X)
    return {**history.history, "y": y, "kernel": dense.kernel.value, "history": type(history).__name__}


def test_own_classes():
    ours, theirs = own_classes(maas), own_classes(keras)
    assert ours.keys() == theirs.keys()
    for key in theirs:
        if isinstance(theirs[key], str):
            assert ours[key] == theirs[key]
        else:
            np.testing.assert_allclose(np.asarray(ours[key]), np.asarray(theirs[key]), rtol=1e-4)


CLAIMS |= {"Initializer", "Regularizer", "Metric", "constraints.Constraint", "layers.Wrapper", "callbacks.History"}
CLAIMS |= {"optimizers.schedules.LearningRateSchedule"}


def test_specs_and_policies():
    for lib in (maas, keras):
        spec = lib.InputSpec(shape=(None, 3), dtype="float32", max_ndim=4, axes={1: 3})
        assert (
            spec.get_config() == keras.InputSpec(shape=(None, 3), dtype="float32", max_ndim=4, axes={1: 3}).get_config()
        )
        layer = lib.layers.InputLayer((3,), batch_size=2, dtype="int32", name="x")
        assert layer.get_config()["batch_shape"] == (2, 3) and layer.output.shape == (2, 3)
        policy = lib.FloatDTypePolicy("mixed_float16")
        assert (policy.compute_dtype, policy.variable_dtype, policy.name) == ("float16", "float32", "mixed_float16")
        with lib.name_scope("outer"), lib.name_scope("inner"):
            assert lib.Variable(np.zeros(1, "float32"), name="v").path == "outer/inner/v"


CLAIMS |= {"InputSpec", "FloatDTypePolicy", "name_scope", "layers.InputLayer"}


def test_remat_changes_no_value():
    for lib in (maas, keras):
        function = lib.remat(lambda x, o=lib.ops: o.sin(x) * 2.0)
        np.testing.assert_allclose(np.asarray(function(lib.ops.convert_to_tensor(X))), np.sin(X) * 2, rtol=1e-5)
        with lib.RematScope("full"):
            layer = lib.layers.Dense(2, kernel_initializer="ones")
        np.testing.assert_allclose(np.asarray(layer(X)), np.repeat(X.sum(1, keepdims=True), 2, 1), rtol=1e-5)


CLAIMS |= {"remat", "RematScope"}


def test_generalized_cross_entropy():
    name = "categorical_generalized_cross_entropy"
    assert_same(getattr(maas.losses, name)(LABELS, P, q=0.4), getattr(keras.losses, name)(LABELS, P, q=0.4))


CLAIMS |= {"losses.categorical_generalized_cross_entropy"}


def test_files_by_functions(tmp_path):
    """What the functions of one library save the functions of the other load."""
    for i, (a, b) in enumerate(((maas, keras), (keras, maas))):
        model = a.Sequential([a.Input((5,)), a.layers.Dense(2)])
        a.models.save_model(model, tmp_path / f"{i}.keras")
        again = b.models.load_model(tmp_path / f"{i}.keras")
        path = str(tmp_path / f"{i}.weights.h5")
        a.saving.save_weights(model, path)
        other = b.Sequential([b.Input((5,)), b.layers.Dense(2)])
        b.saving.load_weights(other, path)
        for made in (again, other):
            for x, y in zip(model.get_weights(), made.get_weights(), strict=True):
                np.testing.assert_array_equal(x, y)


CLAIMS |= {"models.save_model", "models.load_model", "saving.save_weights", "saving.load_weights"}


def test_data_by_batches(capsys):
    """A `PyDataset`, and the lines of the progress bar, in both."""
    rows, lines = [], []
    for lib in (maas, keras):

        class Rows(lib.utils.PyDataset):
            def __len__(self):
                return 2

            def __getitem__(self, i):
                return X[2 * i : 2 * i + 2], X[2 * i : 2 * i + 2, :1]

        model = lib.Sequential([lib.Input((5,)), lib.layers.Dense(1, kernel_initializer="ones")])
        model.compile("sgd", "mse")
        rows.append(model.predict(Rows(), verbose=0))
        capsys.readouterr()
        model.fit(Rows(), epochs=2, verbose=2, callbacks=[lib.callbacks.ProgbarLogger()])
        lines.append([line for line in capsys.readouterr().out.splitlines() if line.startswith("Epoch")])
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-5)
    assert lines[0] == lines[1] and lines[0]


CLAIMS |= {"utils.PyDataset", "callbacks.ProgbarLogger"}

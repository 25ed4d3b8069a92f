"""Recurrent and attention layers beside real Keras: states, masks, training, files, dropout, unknown lengths."""

import keras
import numpy as np
import pytest

import maas
from maas import layers, ops
from tests.layers import pair
from tests.ops import support
from tests.training.pair import assert_same_history, assert_same_weights
from tests.training.pair import pair as models_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 7, 4)).astype("float32")
MASK = np.array([[1, 1, 1, 1, 1, 0, 0], [0, 1, 1, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0]], bool)

CELLS = {
    "gru": lambda nn, **o: nn.GRU(5, **o),
    "gru_before": lambda nn, **o: nn.GRU(5, reset_after=False, **o),
    "gru_loop": lambda nn, **o: nn.GRU(5, activation="gelu", **o),
    "lstm": lambda nn, **o: nn.LSTM(5, **o),
    "lstm_relu": lambda nn, **o: nn.LSTM(5, activation="relu", **o),
    "lstm_loop": lambda nn, **o: nn.LSTM(5, activation="silu", **o),
    "rnn": lambda nn, **o: nn.SimpleRNN(5, **o),
    "cell": lambda nn, **o: nn.RNN(nn.GRUCell(5), **o),
    "stacked": lambda nn, **o: nn.RNN([nn.LSTMCell(4), nn.LSTMCell(5)], **o),
}


def layer_pair(make, shape=X.shape):
    ours, theirs = pair.make_pair(make)
    ours.build(shape)
    theirs.build(shape)
    values = pair.random_weights(theirs.trainable_weights)
    for w, v in zip(ours.trainable_weights, values):
        w.assign(v)
    for w, v in zip(theirs.trainable_weights, values):
        w.assign(v)
    return ours, theirs


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_masks_and_initial_states(kind, backwards, sequences):
    options = {"return_sequences": sequences, "return_state": True, "go_backwards": backwards}
    for zero in (False, True):
        ours, theirs = layer_pair(lambda nn: CELLS[kind](nn, **options))
        ours.zero_output_for_mask = theirs.zero_output_for_mask = zero
        sizes = [[4, 4], [5, 5]] if kind == "stacked" else [5, 5] if "lstm" in kind else [5]
        state = maas.tree.map_structure(lambda n: RNG.normal(size=(3, n)).astype("float32"), sizes)
        got = ours(X, mask=MASK, initial_state=state)
        pair.assert_outputs_close(got, theirs(X, mask=MASK, initial_state=state), 64)


@pytest.mark.parametrize("kind", CELLS)
def test_stateful_layers_go_on_where_they_stopped(kind):
    ours, theirs = layer_pair(lambda nn: CELLS[kind](nn, stateful=True, return_sequences=True))
    for _ in range(3):
        pair.assert_outputs_close(ours(X), theirs(X), 64)
    whole, _ = layer_pair(lambda nn: CELLS[kind](nn, return_sequences=True))
    ours.reset_state()
    parts = [np.asarray(ours(X[:, :4])), np.asarray(ours(X[:, 4:]))]
    np.testing.assert_array_equal(np.concatenate(parts, 1), np.asarray(whole(X)))
    if kind != "stacked":  # Keras cannot reset nested states
        ours.reset_states()
        theirs.reset_states()
        pair.assert_outputs_close(ours(X), theirs(X), 64)
    with pytest.raises(ValueError, match="keeps 3 rows of state, received a batch of 2"):
        ours(X[:2])


def test_stateful_training_carries_the_state_from_batch_to_batch():
    model = maas.Sequential([maas.Input(batch_shape=(3, 7, 4)), layers.GRU(5, stateful=True)])
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((3, 5), "float32"), epochs=2, batch_size=3, verbose=0)
    state = np.asarray(model.layers[0].states[0])
    assert np.abs(state).max() > 0
    model.layers[0].reset_state()
    assert not np.asarray(model.layers[0].states[0]).any()


@pytest.mark.parametrize("merge", ["sum", "mul", "concat", "ave", None])
@pytest.mark.parametrize("kind", ["gru", "lstm", "rnn"])
def test_bidirectional_with_masks_and_states(kind, merge):
    for options in ({"return_sequences": True}, {"return_state": True}):
        ours, theirs = layer_pair(lambda nn, o=options: nn.Bidirectional(CELLS[kind](nn, **o), merge_mode=merge))
        pair.assert_outputs_close(ours(X, mask=MASK), theirs(X, mask=MASK), 64)
        states = [RNG.normal(size=(3, 5)).astype("float32") for _ in range(4 if kind == "lstm" else 2)]
        pair.assert_outputs_close(ours(X, initial_state=states), theirs(X, initial_state=states), 64)


BODIES = {
    "gru": lambda nn: [nn.GRU(6, return_sequences=True), nn.GRU(5, reset_after=False)],
    "gru_relu": lambda nn: [nn.GRU(6, activation="relu", recurrent_activation="hard_sigmoid", go_backwards=True)],
    "gru_loop": lambda nn: [nn.GRU(4, activation="gelu")],
    "lstm": lambda nn: [nn.LSTM(6, return_sequences=True), nn.LSTM(5, activation="softsign")],
    "bidirectional": lambda nn: [nn.Bidirectional(nn.GRU(4, return_sequences=True)), nn.Bidirectional(nn.LSTM(3))],
    "stacked": lambda nn: [nn.RNN([nn.GRUCell(4), nn.SimpleRNNCell(3)])],
    "time_distributed": lambda nn: [nn.TimeDistributed(nn.Dense(3, activation="relu")), nn.LSTM(4)],
}


def masked_model(library, body):
    nn = library.layers
    return library.Sequential(
        [library.Input((7,), dtype="int32"), nn.Embedding(11, 6, mask_zero=True), *BODIES[body](nn), nn.Dense(2)]
    )


@pytest.mark.parametrize("body", BODIES)
def test_training_histories_on_padded_sequences(body):
    ours, theirs = models_of(masked_model, body=body)
    ids = RNG.integers(1, 11, size=(20, 7)).astype("int32")
    ids *= np.arange(7) < RNG.integers(1, 8, size=(20, 1))
    y = RNG.normal(size=(20, 2)).astype("float32")
    histories = []
    for model in (ours, theirs):
        model.compile("adam", "mse")
        histories.append(model.fit(ids, y, epochs=3, batch_size=8, shuffle=False, verbose=0))
    assert_same_history(*histories)
    assert_same_weights(ours, theirs)


def conv_model(library):
    nn = library.layers
    return library.Sequential(
        [library.Input((3, 6, 5, 2)), nn.ConvLSTM2D(3, 2, return_sequences=True), nn.ConvLSTM2D(2, 2, padding="same"),
         nn.Flatten(), nn.Dense(2)]
    )  # fmt: skip


def attention_model(library):
    nn = library.layers
    x = library.Input((7, 8))
    memory = library.Input((9, 8))
    h = nn.GroupQueryAttention(4, 4, 2)(x, x, use_causal_mask=True)
    h = nn.MultiHeadAttention(2, 4, sliding_window=4)(h, memory)
    h = nn.Attention(use_scale=True)([h, memory])
    h = nn.AdditiveAttention()([h, memory])
    return library.Model([x, memory], nn.Dense(2)(nn.GlobalAveragePooling1D()(h)))


@pytest.mark.parametrize("build", [conv_model, attention_model], ids=["conv_lstm", "attention"])
def test_training_histories(build):
    ours, theirs = models_of(build)
    rng = np.random.default_rng(3)  # not what other tests left: Adam makes much of rounding where a slope is nearly 0
    x = [rng.normal(size=(12, *shape[1:])).astype("float32") for shape in (i.shape for i in ours.inputs)]
    y = rng.normal(size=(12, 2)).astype("float32")
    histories = []
    for model in (ours, theirs):
        model.compile("adam", "mse")
        histories.append(model.fit(x if len(x) > 1 else x[0], y, epochs=3, batch_size=4, shuffle=False, verbose=0))
    assert_same_history(*histories)
    # Against float64, attention's weights are 1e-5 to 4e-5 off after nine steps in both libraries.
    assert_same_weights(ours, theirs, atol=5e-5 if build is attention_model else 1e-5)


@pytest.mark.parametrize("name", [*BODIES, "attention"])
def test_files_go_both_ways(name, tmp_path):
    build = attention_model if name == "attention" else lambda library: masked_model(library, name)
    ours, theirs = models_of(build)
    if name == "attention":
        x = [RNG.normal(size=(3, 7, 8)).astype("float32"), RNG.normal(size=(3, 9, 8)).astype("float32")]
    else:
        x = RNG.integers(0, 11, size=(3, 7)).astype("int32")
    ours.save(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    want = theirs.predict(x, verbose=0)
    for loaded in (keras.saving.load_model(tmp_path / "ours.keras"), maas.saving.load_model(tmp_path / "theirs.keras")):
        np.testing.assert_allclose(loaded.predict(x, verbose=0), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", CELLS)
def test_unknown_lengths(kind):
    ours, theirs = pair.make_pair(
        lambda nn: (maas if nn is layers else keras).Sequential([nn.Input((None, 4)), CELLS[kind](nn)])
    )
    ours.set_weights(values := pair.random_weights(theirs.weights))
    theirs.set_weights(values)
    for steps in (1, 5, 40):
        x = RNG.normal(size=(2, steps, 4)).astype("float32")
        pair.assert_outputs_close(ours(x), theirs(x), 128)


def test_a_loop_over_an_unknown_length_is_one_of_the_program():
    layer = layers.GRU(5, activation="gelu", return_sequences=True)
    layer.build((None, None, 4))
    program = support.compiled(lambda x: [layer(x)], (("batch", "time", 4), "float32"))
    for steps in (1, 7):
        np.testing.assert_allclose(program.numpy(X[:, :steps])[0], layer(X[:, :steps]).numpy(), rtol=1e-5, atol=1e-6)
    unrolled = layers.GRU(5, unroll=True)
    with pytest.raises(ValueError, match="unroll=True needs a known number of steps"):
        support.compiled(lambda x: [unrolled(x)], (("batch", "time", 4), "float32"))


class CountingCell(layers.Layer):
    """A cell of the user's that counts its steps."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), initializer="glorot_uniform")
        self.recurrent = self.add_weight(shape=(self.units, self.units), initializer="orthogonal")
        self.steps = self.add_weight(shape=(), initializer="zeros", dtype="int32", trainable=False)

    def call(self, x, states):
        self.steps.assign(self.steps + 1)
        h = ops.tanh(ops.matmul(x, self.kernel) + ops.matmul(states[0], self.recurrent))
        return 2.0 * h, [h]


class KerasCell(keras.layers.Layer):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), initializer="glorot_uniform")
        self.recurrent = self.add_weight(shape=(self.units, self.units), initializer="orthogonal")

    def call(self, x, states):
        h = keras.ops.tanh(keras.ops.matmul(x, self.kernel) + keras.ops.matmul(states[0], self.recurrent))
        return 2.0 * h, [h]


@pytest.mark.parametrize("options", [{}, {"return_sequences": True}, {"return_sequences": True, "go_backwards": True}])
@pytest.mark.parametrize("lengths", [(3, 5, 1), (7, 2, 4), (0, 0, 0)])
@pytest.mark.parametrize("time", [None, 7])
def test_a_cell_of_the_users_skips_the_padding_behind_the_longest_sequence(options, lengths, time):
    mask = np.arange(7) < np.array(lengths)[:, None]
    cell = CountingCell()
    x, m = maas.Input((time, 4)), maas.Input((time,), dtype="bool")
    model = maas.Model([x, m], layers.RNN(cell, return_state=True, **options)(x, mask=m))
    theirs = keras.layers.RNN(KerasCell(), return_state=True, **options)
    theirs.build(X.shape)
    theirs.set_weights([cell.kernel.numpy(), cell.recurrent.numpy()])
    want = theirs(X, mask=mask)
    pair.assert_outputs_close(model([X, mask]), want, 64)
    assert int(cell.steps) == max(lengths)
    one_by_one = layers.RNN(cell, return_state=True, **options)
    pair.assert_outputs_close(one_by_one(X, mask=mask), want, 64)
    assert int(cell.steps) == 2 * max(lengths)


@pytest.mark.parametrize("kind", ["gru", "lstm", "rnn"])
@pytest.mark.parametrize("rates", [(0.4, 0.0), (0.0, 0.4), (0.3, 0.3)])
def test_dropout_is_one_draw_for_all_steps(kind, rates):
    """A layer in training equals the loop over its cell with the masks of the same seed; inference drops nothing."""
    dropout, recurrent = rates
    layer = CELLS[kind](layers, dropout=dropout, recurrent_dropout=recurrent, seed=3, return_sequences=True)
    plain = CELLS[kind](layers, return_sequences=True)
    layer.build(X.shape)
    plain.build(X.shape)
    plain.set_weights([np.asarray(w) for w in layer.trainable_weights])
    np.testing.assert_array_equal(np.asarray(layer(X)), np.asarray(plain(X)))
    y = np.asarray(layer(X, training=True))
    cell = type(layer.cell).from_config(layer.cell.get_config())  # its seed stands at the first draw again
    cell.build((3, 4))
    for a, b in zip(cell.trainable_weights, layer.trainable_weights):
        a.assign(np.asarray(b))
    states = [ops.zeros((3, 5)) for _ in range(2 if kind == "lstm" else 1)]
    masks = cell.dropout_masks(ops.convert_to_tensor(X[:, 0]), states)
    assert isinstance(masks[0], list) == bool(kind != "rnn" and recurrent and dropout)
    for t in range(X.shape[1]):
        out, states = cell(ops.convert_to_tensor(X[:, t]), states, training=True, dropout_masks=masks)
        np.testing.assert_allclose(y[:, t], np.asarray(out), atol=2e-6)
    assert np.abs(y - np.asarray(layer(X, training=True))).max() > 1e-3  # the next call draws anew


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.MultiHeadAttention(2, 4, dropout=0.3, seed=1),
        lambda: layers.GroupQueryAttention(4, 4, 2, dropout=0.3, seed=1),
    ],
    ids=["multi_head", "group_query"],
)
def test_fused_dropout_drops_what_the_scores_show(make):
    """With and without scores: the same seed drops the same weights."""
    x = RNG.normal(size=(2, 6, 8)).astype("float32")
    fused, shown = make(), make()
    fused.build(x.shape, x.shape)
    shown.build(x.shape, x.shape)
    shown.set_weights(fused.get_weights())
    for causal in (False, True):
        got = fused(x, x, training=True, use_causal_mask=causal)
        want, scores = shown(x, x, training=True, use_causal_mask=causal, return_attention_scores=True)
        assert scores.shape == (2, 2 if "Multi" in type(fused).__name__ else 4, 6, 6)
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), atol=2e-6)
        assert np.abs(np.asarray(got) - np.asarray(fused(x, x, use_causal_mask=causal))).max() > 1e-3
        shown(x, x, use_causal_mask=causal)


def test_attention_masks_as_keras():
    q, v = (RNG.normal(size=(2, n, 4)).astype("float32") for n in (5, 6))
    q_mask, v_mask = np.arange(5) < np.array([[5], [3]]), np.arange(6) < np.array([[2], [6]])
    for make in (lambda nn: nn.Attention(), lambda nn: nn.AdditiveAttention(), lambda nn: nn.Attention(True, "concat")):
        ours, theirs = pair.make_pair(make)
        for scores in (False, True):
            for causal in (False, True):
                options = {"mask": [q_mask, v_mask], "return_attention_scores": scores, "use_causal_mask": causal}
                ours([q, v])
                theirs([q, v])
                ours.set_weights(values := pair.random_weights(theirs.weights))
                theirs.set_weights(values)
                pair.assert_outputs_close(ours([q, v], **options), theirs([q, v], **options), 64)
    attention = RNG.random((2, 5, 6)) > 0.5
    for make in (lambda nn: nn.MultiHeadAttention(2, 3), lambda nn: nn.GroupQueryAttention(3, 4, 2)):
        ours, theirs = pair.make_pair(make)
        ours(q, v)
        theirs(q, v)
        ours.set_weights(values := pair.random_weights(theirs.weights))
        theirs.set_weights(values)
        for scores in (False, True):
            options = {"attention_mask": attention, "return_attention_scores": scores, "use_causal_mask": True}
            options |= {"value_mask": v_mask}
            pair.assert_outputs_close(ours(q, v, **options), theirs(q, v, **options), 64)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: layers.GroupQueryAttention(4, 3, 2), "multiple of `num_key_value_heads`, received 3 and 2"),
        (lambda: layers.MultiHeadAttention(2, 4, sliding_window=0), "positive int, received 0"),
        (lambda: layers.MultiHeadAttention(2, 4, dropout=0.1, flash_attention=True), "dropout, received dropout=0.1"),
        (lambda: layers.StackedRNNCells([layers.Dense(3)]), "needs `call` and `state_size`, received"),
        (lambda: layers.ConvLSTM2D(3, 2, strides=2, dilation_rate=2), "do not go with dilation_rate > 1, received"),
        (lambda: layers.RNN(layers.Dense(3)), "must have `call` and `state_size`, received"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()

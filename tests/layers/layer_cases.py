"""One row per layer and setting: a name, how to make it from a `layers` module, and the shapes of its inputs (batch included)."""

from typing import NamedTuple

import numpy as np


class Case(NamedTuple):
    name: str
    make: object
    shapes: tuple
    call: dict = {}
    dtype: str = "float32"
    eps: int = 32
    low: int = 0
    high: int = 9


IMAGE = ((2, 9, 8, 3),)
STEPS = ((2, 7, 4),)
FLAT = ((3, 6),)
PAIR = ((3, 4, 5), (3, 4, 5))
TRAIN = {"training": True}

CASES = [
    Case("dense", lambda l: l.Dense(5, activation="relu", kernel_initializer="he_normal"), FLAT),
    Case("dense_no_bias", lambda l: l.Dense(5, use_bias=False, kernel_regularizer="l2", kernel_constraint="max_norm"), STEPS),
    Case("dense_softmax", lambda l: l.Dense(5, activation="softmax", activity_regularizer="l2"), FLAT),
    Case("einsum_dense", lambda l: l.EinsumDense("abc,cd->abd", output_shape=(None, 6), bias_axes="d"), STEPS),
    Case("einsum_heads", lambda l: l.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de"), STEPS),
    Case("einsum_ellipsis", lambda l: l.EinsumDense("...x,xy->...y", output_shape=6, bias_axes="y"), STEPS),
    Case("activation", lambda l: l.Activation("tanh"), FLAT),
    Case("identity", lambda l: l.Identity(), FLAT),
    Case("relu", lambda l: l.ReLU(), FLAT),
    Case("relu_all", lambda l: l.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.3), FLAT),
    Case("leaky_relu", lambda l: l.LeakyReLU(), FLAT),
    Case("prelu", lambda l: l.PReLU(shared_axes=[1]), STEPS),
    Case("elu", lambda l: l.ELU(0.7), FLAT),
    Case("softmax", lambda l: l.Softmax(), STEPS),
    Case("softmax_axes", lambda l: l.Softmax(axis=(1, 2)), STEPS),
    Case("dropout_off", lambda l: l.Dropout(0.4, noise_shape=(None, 1), seed=3), FLAT),
    Case("spatial_dropout_1d_off", lambda l: l.SpatialDropout1D(0.4), STEPS),
    Case("spatial_dropout_2d_off", lambda l: l.SpatialDropout2D(0.4), IMAGE),
    Case("gaussian_noise_off", lambda l: l.GaussianNoise(0.4), FLAT),
    Case("gaussian_dropout_off", lambda l: l.GaussianDropout(0.4), FLAT),
    Case("activity_regularization", lambda l: l.ActivityRegularization(l1=0.1, l2=0.2), FLAT),
    Case("flatten", lambda l: l.Flatten(), IMAGE),
    Case("flatten_rank_1", lambda l: l.Flatten(), ((4,),)),
    Case("reshape", lambda l: l.Reshape((2, -1)), FLAT),
    Case("permute", lambda l: l.Permute((3, 1, 2)), IMAGE),
    Case("repeat_vector", lambda l: l.RepeatVector(3), FLAT),
    Case("masking", lambda l: l.Masking(0.0), STEPS),
    Case("rescaling", lambda l: l.Rescaling(1 / 255, offset=-0.5), IMAGE),
    Case("normalization_given", lambda l: l.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 9.0, 2.0]), STEPS),
    Case("normalization_scalar", lambda l: l.Normalization(axis=None, mean=1.0, variance=4.0, invert=True), STEPS),
    Case("normalization", lambda l: l.Normalization(), STEPS),
    Case("conv1d", lambda l: l.Conv1D(5, 3, activation="relu"), STEPS, eps=64),
    Case("conv1d_causal", lambda l: l.Conv1D(5, 3, padding="causal", dilation_rate=2), STEPS, eps=64),
    Case("conv1d_same_stride", lambda l: l.Conv1D(5, 3, strides=2, padding="same", use_bias=False), STEPS, eps=64),
    Case("conv2d", lambda l: l.Conv2D(5, 3), IMAGE, eps=64),
    Case("conv2d_same", lambda l: l.Conv2D(5, (3, 2), padding="same", strides=(2, 1), activation="relu"), IMAGE, eps=64),
    Case("conv2d_dilated", lambda l: l.Conv2D(5, 3, dilation_rate=2), IMAGE, eps=64),
    Case("conv2d_groups", lambda l: l.Conv2D(6, 3, groups=3), IMAGE, eps=64),
    Case("conv2d_channels_first", lambda l: l.Conv2D(4, 3, data_format="channels_first"), ((2, 3, 9, 8),), eps=64),
    Case("depthwise_conv2d", lambda l: l.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), IMAGE, eps=64),
    Case("separable_conv2d", lambda l: l.SeparableConv2D(5, 3, strides=2, activation="relu"), IMAGE, eps=64),
    Case("max_pooling_1d", lambda l: l.MaxPooling1D(2), STEPS),
    Case("max_pooling_2d", lambda l: l.MaxPooling2D(), IMAGE),
    Case("max_pooling_2d_same", lambda l: l.MaxPool2D((3, 2), strides=2, padding="same"), IMAGE),
    Case("average_pooling_1d", lambda l: l.AveragePooling1D(3, strides=2, padding="same"), STEPS),
    Case("average_pooling_2d", lambda l: l.AveragePooling2D((2, 2)), IMAGE),
    Case("average_pooling_2d_same", lambda l: l.AvgPool2D((2, 2), padding="same"), IMAGE),
    Case("global_max_1d", lambda l: l.GlobalMaxPooling1D(), STEPS),
    Case("global_max_2d", lambda l: l.GlobalMaxPooling2D(keepdims=True), IMAGE),
    Case("global_average_1d", lambda l: l.GlobalAveragePooling1D(), STEPS),
    Case("global_average_2d", lambda l: l.GlobalAveragePooling2D(), IMAGE),
    Case("zero_padding_1d", lambda l: l.ZeroPadding1D((1, 2)), STEPS),
    Case("zero_padding_2d", lambda l: l.ZeroPadding2D(((1, 2), (0, 3))), IMAGE),
    Case("cropping_1d", lambda l: l.Cropping1D((1, 2)), STEPS),
    Case("cropping_2d", lambda l: l.Cropping2D(((1, 2), (0, 3))), IMAGE),
    Case("up_sampling_1d", lambda l: l.UpSampling1D(3), STEPS),
    Case("up_sampling_2d", lambda l: l.UpSampling2D((2, 3)), IMAGE),
    Case("batch_normalization", lambda l: l.BatchNormalization(), IMAGE),
    Case("batch_normalization_training", lambda l: l.BatchNormalization(momentum=0.8, scale=False), IMAGE, TRAIN, eps=128),
    Case("batch_normalization_axis_1", lambda l: l.BatchNormalization(axis=1, center=False), IMAGE),
    Case("layer_normalization", lambda l: l.LayerNormalization(epsilon=1e-6), STEPS, eps=64),
    Case("layer_normalization_axes", lambda l: l.LayerNormalization(axis=[1, 2]), STEPS, eps=64),
    Case("embedding", lambda l: l.Embedding(9, 5), ((3, 4),), dtype="int32"),
    Case("simple_rnn", lambda l: l.SimpleRNN(5), STEPS),
    Case("simple_rnn_sequences", lambda l: l.SimpleRNN(5, return_sequences=True, go_backwards=True, use_bias=False), STEPS),
    Case("simple_rnn_relu", lambda l: l.SimpleRNN(5, activation="relu"), STEPS),
    Case("lstm", lambda l: l.LSTM(5), STEPS),
    Case("lstm_state", lambda l: l.LSTM(5, return_sequences=True, return_state=True), STEPS),
    Case("lstm_backwards", lambda l: l.LSTM(5, go_backwards=True, return_sequences=True), STEPS),
    Case("lstm_hard", lambda l: l.LSTM(5, recurrent_activation="hard_sigmoid", unit_forget_bias=False), STEPS),
    Case("gru", lambda l: l.GRU(5, return_sequences=True), STEPS),
    Case("gru_reset_before", lambda l: l.GRU(5, reset_after=False), STEPS),
    Case("rnn_of_cell", lambda l: l.RNN(l.LSTMCell(5), return_sequences=True), STEPS),
    Case("bidirectional", lambda l: l.Bidirectional(l.LSTM(5, return_sequences=True)), STEPS),
    Case("bidirectional_sum", lambda l: l.Bidirectional(l.GRU(5), merge_mode="sum"), STEPS),
    Case("time_distributed", lambda l: l.TimeDistributed(l.Dense(3)), STEPS),
    Case("time_distributed_conv", lambda l: l.TimeDistributed(l.Conv2D(2, 3)), ((2, 3, 6, 6, 2),), eps=64),
    Case("multi_head_attention", lambda l: l.MultiHeadAttention(2, 3), ((2, 5, 4), (2, 6, 4)), eps=64),
    Case("multi_head_causal", lambda l: l.MultiHeadAttention(2, 3, use_bias=False), ((2, 5, 4), (2, 5, 4)), {"use_causal_mask": True}, eps=64),
    Case(
        "multi_head_scores", lambda l: l.MultiHeadAttention(2, 3, output_shape=7), ((2, 5, 4), (2, 5, 4)), {"return_attention_scores": True},
        eps=64,
    ),
    Case("attention", lambda l: l.Attention(), ((2, 5, 4), (2, 6, 4))),
    Case("attention_scale", lambda l: l.Attention(use_scale=True, score_mode="concat"), ((2, 5, 4), (2, 6, 4)), eps=64),
    Case("attention_causal", lambda l: l.Attention(), ((2, 5, 4), (2, 5, 4)), {"use_causal_mask": True}),
    Case("add", lambda l: l.Add(), PAIR),
    Case("add_broadcast", lambda l: l.Add(), ((3, 4, 5), (3, 5))),
    Case("subtract", lambda l: l.Subtract(), PAIR),
    Case("multiply", lambda l: l.Multiply(), PAIR),
    Case("average", lambda l: l.Average(), PAIR),
    Case("maximum", lambda l: l.Maximum(), PAIR),
    Case("minimum", lambda l: l.Minimum(), PAIR),
    Case("concatenate", lambda l: l.Concatenate(axis=1), ((3, 4, 5), (3, 2, 5))),
    Case("dot", lambda l: l.Dot(axes=(2, 1)), ((3, 4, 5), (3, 5, 6))),
    Case("dot_cosine", lambda l: l.Dot(axes=1, normalize=True), ((3, 5), (3, 5))),
]  # fmt: skip


def inputs_of(case):
    """Random inputs; with zeros among them, which Masking and embeddings with masks need."""
    rng = np.random.default_rng(len(case.name))
    if "int" in case.dtype:
        return [rng.integers(case.low, case.high, s).astype(case.dtype) for s in case.shapes]
    arrays = [rng.normal(size=s).astype(case.dtype) for s in case.shapes]
    if case.name == "masking":
        arrays[0][:, 2:4] = 0
    return arrays

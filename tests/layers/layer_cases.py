"""One row per layer and setting: a name, how to make it from a `layers` module, and the shapes of its inputs (batch
included).
"""

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
VOLUME = ((2, 7, 6, 5, 3),)
FLAT = ((3, 6),)
PAIR = ((3, 4, 5), (3, 4, 5))
TRAIN = {"training": True}

CASES = [
    Case("dense", lambda nn: nn.Dense(5, activation="relu", kernel_initializer="he_normal"), FLAT),
    Case("dense_no_bias",
         lambda nn: nn.Dense(5, use_bias=False, kernel_regularizer="l2", kernel_constraint="max_norm"), STEPS),
    Case("dense_softmax", lambda nn: nn.Dense(5, activation="softmax", activity_regularizer="l2"), FLAT),
    Case("einsum_dense", lambda nn: nn.EinsumDense("abc,cd->abd", output_shape=(None, 6), bias_axes="d"), STEPS),
    Case("einsum_heads", lambda nn: nn.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de"), STEPS),
    Case("einsum_ellipsis", lambda nn: nn.EinsumDense("...x,xy->...y", output_shape=6, bias_axes="y"), STEPS),
    Case("activation", lambda nn: nn.Activation("tanh"), FLAT),
    Case("identity", lambda nn: nn.Identity(), FLAT),
    Case("relu", lambda nn: nn.ReLU(), FLAT),
    Case("relu_all", lambda nn: nn.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.3), FLAT),
    Case("leaky_relu", lambda nn: nn.LeakyReLU(), FLAT),
    Case("prelu", lambda nn: nn.PReLU(shared_axes=[1]), STEPS),
    Case("elu", lambda nn: nn.ELU(0.7), FLAT),
    Case("softmax", lambda nn: nn.Softmax(), STEPS),
    Case("softmax_axes", lambda nn: nn.Softmax(axis=(1, 2)), STEPS),
    Case("dropout_off", lambda nn: nn.Dropout(0.4, noise_shape=(None, 1), seed=3), FLAT),
    Case("spatial_dropout_1d_off", lambda nn: nn.SpatialDropout1D(0.4), STEPS),
    Case("spatial_dropout_2d_off", lambda nn: nn.SpatialDropout2D(0.4), IMAGE),
    Case("gaussian_noise_off", lambda nn: nn.GaussianNoise(0.4), FLAT),
    Case("gaussian_dropout_off", lambda nn: nn.GaussianDropout(0.4), FLAT),
    Case("activity_regularization", lambda nn: nn.ActivityRegularization(l1=0.1, l2=0.2), FLAT),
    Case("flatten", lambda nn: nn.Flatten(), IMAGE),
    Case("flatten_rank_1", lambda nn: nn.Flatten(), ((4,),)),
    Case("reshape", lambda nn: nn.Reshape((2, -1)), FLAT),
    Case("permute", lambda nn: nn.Permute((3, 1, 2)), IMAGE),
    Case("repeat_vector", lambda nn: nn.RepeatVector(3), FLAT),
    Case("masking", lambda nn: nn.Masking(0.0), STEPS),
    Case("rescaling", lambda nn: nn.Rescaling(1 / 255, offset=-0.5), IMAGE),
    Case("normalization_given",
         lambda nn: nn.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 9.0, 2.0]), STEPS),
    Case("normalization_scalar", lambda nn: nn.Normalization(axis=None, mean=1.0, variance=4.0, invert=True), STEPS),
    Case("normalization", lambda nn: nn.Normalization(), STEPS),
    Case("conv1d", lambda nn: nn.Conv1D(5, 3, activation="relu"), STEPS, eps=64),
    Case("conv1d_causal", lambda nn: nn.Conv1D(5, 3, padding="causal", dilation_rate=2), STEPS, eps=64),
    Case("conv1d_same_stride", lambda nn: nn.Conv1D(5, 3, strides=2, padding="same", use_bias=False), STEPS, eps=64),
    Case("conv2d", lambda nn: nn.Conv2D(5, 3), IMAGE, eps=64),
    Case("conv2d_same",
         lambda nn: nn.Conv2D(5, (3, 2), padding="same", strides=(2, 1), activation="relu"), IMAGE, eps=64),
    Case("conv2d_dilated", lambda nn: nn.Conv2D(5, 3, dilation_rate=2), IMAGE, eps=64),
    Case("conv2d_groups", lambda nn: nn.Conv2D(6, 3, groups=3), IMAGE, eps=64),
    Case("conv2d_channels_first", lambda nn: nn.Conv2D(4, 3, data_format="channels_first"), ((2, 3, 9, 8),), eps=64),
    Case("depthwise_conv2d", lambda nn: nn.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), IMAGE, eps=64),
    Case("separable_conv2d", lambda nn: nn.SeparableConv2D(5, 3, strides=2, activation="relu"), IMAGE, eps=64),
    Case("conv1d_causal_first",
         lambda nn: nn.Conv1D(5, 2, padding="causal", data_format="channels_first"), ((2, 4, 7),), eps=64),
    Case("conv1d_groups", lambda nn: nn.Conv1D(6, 3, groups=2, padding="same"), STEPS, eps=64),
    Case("conv3d", lambda nn: nn.Conv3D(4, 3, activation="relu"), VOLUME, eps=64),
    Case("conv3d_same", lambda nn: nn.Conv3D(4, (3, 2, 3), strides=(2, 1, 2), padding="same"), VOLUME, eps=64),
    Case("conv3d_dilated_first",
         lambda nn: nn.Conv3D(4, 2, dilation_rate=2, data_format="channels_first"), ((2, 3, 7, 6, 5),), eps=64),
    Case("conv1d_transpose", lambda nn: nn.Conv1DTranspose(5, 3, strides=2), STEPS, eps=64),
    Case("conv1d_transpose_padding",
         lambda nn: nn.Conv1DTranspose(5, 3, strides=3, padding="same", output_padding=2), STEPS, eps=64),
    Case("conv2d_transpose",
         lambda nn: nn.Conv2DTranspose(5, (3, 2), (2, 3), "same", activation="relu"), IMAGE, eps=64),
    Case("conv2d_transpose_dilated", lambda nn: nn.Conv2DTranspose(5, 3, dilation_rate=2), IMAGE, eps=64),
    Case("conv2d_transpose_first",
         lambda nn: nn.Conv2DTranspose(1, 3, strides=2, padding="same", data_format="channels_first", use_bias=False),
         ((2, 3, 9, 8),), eps=64),
    Case("conv3d_transpose",
         lambda nn: nn.Conv3DTranspose(4, 2, strides=2, output_padding=(0, 1, 0)), VOLUME, eps=64),
    Case("depthwise_conv1d", lambda nn: nn.DepthwiseConv1D(3, strides=2, depth_multiplier=3), STEPS, eps=64),
    Case("depthwise_conv2d_dilated",
         lambda nn: nn.DepthwiseConv2D(2, dilation_rate=2, data_format="channels_first", use_bias=False),
         ((2, 3, 9, 8),), eps=64),
    Case("separable_conv1d",
         lambda nn: nn.SeparableConv1D(5, 3, padding="same", depth_multiplier=2, activation="relu"), STEPS, eps=64),
    Case("max_pooling_1d", lambda nn: nn.MaxPooling1D(2), STEPS),
    Case("max_pooling_2d", lambda nn: nn.MaxPooling2D(), IMAGE),
    Case("max_pooling_2d_same", lambda nn: nn.MaxPool2D((3, 2), strides=2, padding="same"), IMAGE),
    Case("average_pooling_1d", lambda nn: nn.AveragePooling1D(3, strides=2, padding="same"), STEPS),
    Case("average_pooling_2d", lambda nn: nn.AveragePooling2D((2, 2)), IMAGE),
    Case("average_pooling_2d_same", lambda nn: nn.AvgPool2D((2, 2), padding="same"), IMAGE),
    Case("max_pooling_first", lambda nn: nn.MaxPooling2D(2, data_format="channels_first"), ((2, 3, 9, 8),)),
    Case("max_pooling_3d", lambda nn: nn.MaxPooling3D(), VOLUME),
    Case("max_pooling_3d_same", lambda nn: nn.MaxPool3D((3, 2, 2), strides=(2, 1, 2), padding="same"), VOLUME),
    Case("average_pooling_3d", lambda nn: nn.AveragePooling3D(2), VOLUME),
    Case("average_pooling_3d_first",
         lambda nn: nn.AvgPool3D(3, 2, "same", "channels_first"), ((2, 3, 7, 6, 5),)),
    Case("global_max_3d", lambda nn: nn.GlobalMaxPooling3D(), VOLUME),
    Case("global_average_3d", lambda nn: nn.GlobalAveragePooling3D("channels_first", keepdims=True), VOLUME),
    Case("global_max_1d", lambda nn: nn.GlobalMaxPooling1D(), STEPS),
    Case("global_max_2d", lambda nn: nn.GlobalMaxPooling2D(keepdims=True), IMAGE),
    Case("global_average_1d", lambda nn: nn.GlobalAveragePooling1D(), STEPS),
    Case("global_average_2d", lambda nn: nn.GlobalAveragePooling2D(), IMAGE),
    Case("zero_padding_1d", lambda nn: nn.ZeroPadding1D((1, 2)), STEPS),
    Case("zero_padding_2d", lambda nn: nn.ZeroPadding2D(((1, 2), (0, 3))), IMAGE),
    Case("cropping_1d", lambda nn: nn.Cropping1D((1, 2)), STEPS),
    Case("cropping_2d", lambda nn: nn.Cropping2D(((1, 2), (0, 3))), IMAGE),
    Case("up_sampling_1d", lambda nn: nn.UpSampling1D(3), STEPS),
    Case("up_sampling_2d", lambda nn: nn.UpSampling2D((2, 3)), IMAGE),
    Case("zero_padding_3d", lambda nn: nn.ZeroPadding3D((1, (0, 2), 3)), VOLUME),
    Case("zero_padding_3d_first", lambda nn: nn.ZeroPadding3D(1, "channels_first"), VOLUME),
    Case("cropping_3d", lambda nn: nn.Cropping3D(((1, 2), (0, 3), (1, 0))), VOLUME),
    Case("cropping_3d_first", lambda nn: nn.Cropping3D(1, "channels_first"), ((2, 3, 7, 6, 5),)),
    Case("up_sampling_3d", lambda nn: nn.UpSampling3D((2, 1, 3)), VOLUME),
    Case("batch_normalization", lambda nn: nn.BatchNormalization(), IMAGE),
    Case("batch_normalization_training",
         lambda nn: nn.BatchNormalization(momentum=0.8, scale=False), IMAGE, TRAIN, eps=128),
    Case("batch_normalization_axis_1", lambda nn: nn.BatchNormalization(axis=1, center=False), IMAGE),
    Case("layer_normalization", lambda nn: nn.LayerNormalization(epsilon=1e-6), STEPS, eps=64),
    Case("layer_normalization_axes", lambda nn: nn.LayerNormalization(axis=[1, 2]), STEPS, eps=64),
    Case("embedding", lambda nn: nn.Embedding(9, 5), ((3, 4),), dtype="int32"),
    Case("simple_rnn", lambda nn: nn.SimpleRNN(5), STEPS),
    Case("simple_rnn_sequences",
         lambda nn: nn.SimpleRNN(5, return_sequences=True, go_backwards=True, use_bias=False), STEPS),
    Case("simple_rnn_relu", lambda nn: nn.SimpleRNN(5, activation="relu"), STEPS),
    Case("lstm", lambda nn: nn.LSTM(5), STEPS),
    Case("lstm_state", lambda nn: nn.LSTM(5, return_sequences=True, return_state=True), STEPS),
    Case("lstm_backwards", lambda nn: nn.LSTM(5, go_backwards=True, return_sequences=True), STEPS),
    Case("lstm_hard", lambda nn: nn.LSTM(5, recurrent_activation="hard_sigmoid", unit_forget_bias=False), STEPS),
    Case("gru", lambda nn: nn.GRU(5, return_sequences=True), STEPS),
    Case("gru_reset_before", lambda nn: nn.GRU(5, reset_after=False), STEPS),
    Case("rnn_of_cell", lambda nn: nn.RNN(nn.LSTMCell(5), return_sequences=True), STEPS),
    Case("bidirectional", lambda nn: nn.Bidirectional(nn.LSTM(5, return_sequences=True)), STEPS),
    Case("bidirectional_sum", lambda nn: nn.Bidirectional(nn.GRU(5), merge_mode="sum"), STEPS),
    Case("time_distributed", lambda nn: nn.TimeDistributed(nn.Dense(3)), STEPS),
    Case("time_distributed_conv", lambda nn: nn.TimeDistributed(nn.Conv2D(2, 3)), ((2, 3, 6, 6, 2),), eps=64),
    Case("multi_head_attention", lambda nn: nn.MultiHeadAttention(2, 3), ((2, 5, 4), (2, 6, 4)), eps=64),
    Case("multi_head_causal",
         lambda nn: nn.MultiHeadAttention(2, 3, use_bias=False), ((2, 5, 4), (2, 5, 4)),
         {"use_causal_mask": True}, eps=64),
    Case(
        "multi_head_scores", lambda nn: nn.MultiHeadAttention(2, 3, output_shape=7), ((2, 5, 4), (2, 5, 4)),
        {"return_attention_scores": True},
        eps=64,
    ),
    Case("attention", lambda nn: nn.Attention(), ((2, 5, 4), (2, 6, 4))),
    Case("attention_scale",
         lambda nn: nn.Attention(use_scale=True, score_mode="concat"), ((2, 5, 4), (2, 6, 4)), eps=64),
    Case("attention_causal", lambda nn: nn.Attention(), ((2, 5, 4), (2, 5, 4)), {"use_causal_mask": True}),
    Case("add", lambda nn: nn.Add(), PAIR),
    Case("add_broadcast", lambda nn: nn.Add(), ((3, 4, 5), (3, 5))),
    Case("subtract", lambda nn: nn.Subtract(), PAIR),
    Case("multiply", lambda nn: nn.Multiply(), PAIR),
    Case("average", lambda nn: nn.Average(), PAIR),
    Case("maximum", lambda nn: nn.Maximum(), PAIR),
    Case("minimum", lambda nn: nn.Minimum(), PAIR),
    Case("concatenate", lambda nn: nn.Concatenate(axis=1), ((3, 4, 5), (3, 2, 5))),
    Case("dot", lambda nn: nn.Dot(axes=(2, 1)), ((3, 4, 5), (3, 5, 6))),
    Case("dot_cosine", lambda nn: nn.Dot(axes=1, normalize=True), ((3, 5), (3, 5))),
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

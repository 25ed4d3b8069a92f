"""Layers, by Keras's names."""

from maas import missing_names
from maas.layers.activation.activations import ELU, LeakyReLU, PReLU, ReLU, Softmax
from maas.layers.attention.additive_attention import AdditiveAttention
from maas.layers.attention.attention import Attention
from maas.layers.attention.grouped_query_attention import GroupQueryAttention
from maas.layers.attention.multi_head_attention import MultiHeadAttention
from maas.layers.convolution.conv import Conv1D, Conv2D, Conv3D
from maas.layers.convolution.conv_transpose import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from maas.layers.convolution.depthwise import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from maas.layers.core.dense import Dense
from maas.layers.core.einsum_dense import EinsumDense
from maas.layers.core.embedding import Embedding
from maas.layers.core.input_layer import Input, InputLayer
from maas.layers.core.lambda_layer import Lambda
from maas.layers.core.reversible_embedding import ReversibleEmbedding
from maas.layers.core.simple import Activation, ActivityRegularization, Identity, Masking
from maas.layers.core.wrapper import Wrapper
from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.merging.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from maas.layers.normalization.batch_normalization import BatchNormalization
from maas.layers.normalization.group_normalization import GroupNormalization
from maas.layers.normalization.layer_normalization import LayerNormalization
from maas.layers.normalization.scalings import RMSNormalization, SpectralNormalization, UnitNormalization
from maas.layers.pooling.adaptive_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
)
from maas.layers.pooling.global_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
)
from maas.layers.pooling.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from maas.layers.preprocessing.scaling import Normalization, Rescaling
from maas.layers.recurrent.bidirectional import Bidirectional
from maas.layers.recurrent.cells import GRUCell, LSTMCell, SimpleRNNCell
from maas.layers.recurrent.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from maas.layers.recurrent.layers import GRU, LSTM, SimpleRNN
from maas.layers.recurrent.rnn import RNN
from maas.layers.recurrent.stacked import StackedRNNCells
from maas.layers.recurrent.time_distributed import TimeDistributed
from maas.layers.regularization.dropout import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from maas.layers.reshaping.resizing import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from maas.layers.reshaping.shapes import Flatten, Permute, RepeatVector, Reshape

Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D

__all__ = [
    "Activation", "ActivityRegularization", "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D",
    "Add", "AdditiveAttention", "AlphaDropout", "Attention", "Average",
    "AveragePooling1D",
    "AveragePooling2D", "AveragePooling3D", "AvgPool1D", "AvgPool2D", "AvgPool3D", "BatchNormalization",
    "Bidirectional", "Concatenate", "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D",
    "Conv3DTranspose", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Convolution1D", "Convolution1DTranspose",
    "Convolution2D", "Convolution2DTranspose", "Convolution3D", "Convolution3DTranspose", "Cropping1D",
    "Cropping2D", "Cropping3D", "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Dot", "Dropout", "ELU",
    "EinsumDense", "Embedding", "Flatten", "GRU", "GRUCell", "GaussianDropout", "GaussianNoise",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalAvgPool1D",
    "GlobalAvgPool2D", "GlobalAvgPool3D", "GlobalMaxPool1D", "GlobalMaxPool2D", "GlobalMaxPool3D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
    "GroupNormalization", "GroupQueryAttention", "Identity", "Input",
    "InputLayer", "InputSpec", "LSTM", "LSTMCell", "Lambda", "Layer", "LayerNormalization", "LeakyReLU", "Masking",
    "MaxPool1D", "MaxPool2D", "MaxPool3D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Maximum", "Minimum",
    "MultiHeadAttention", "Multiply", "Normalization", "PReLU", "Permute", "RMSNormalization", "RNN", "ReLU",
    "RepeatVector",
    "Rescaling", "Reshape", "ReversibleEmbedding", "SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D",
    "SeparableConvolution2D", "SimpleRNN", "SimpleRNNCell", "Softmax", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "SpectralNormalization", "StackedRNNCells", "Subtract", "TimeDistributed", "UnitNormalization",
    "UpSampling1D", "UpSampling2D", "UpSampling3D", "Wrapper",
    "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "add", "average", "concatenate", "deserialize", "dot",
    "maximum", "minimum", "multiply", "serialize", "subtract",
]  # fmt: skip

# The layers that prepare data have a list of their own, and load when they are asked for.
from maas.layers import preprocessing  # noqa: E402

__all__ += preprocessing.__all__


def serialize(layer):
    """Config dict of a layer, in the format of Keras files."""
    from maas.saving.serialization import serialize_keras_object

    return serialize_keras_object(layer)


def deserialize(config, custom_objects=None):
    """Layer from the dict that `serialize` made.

    Raises:
        ValueError: if the dict does not describe a layer.
    """
    from maas.saving.serialization import deserialize_keras_object

    layer = deserialize_keras_object(config, custom_objects=custom_objects)
    if not isinstance(layer, Layer):
        raise ValueError(f"layers.deserialize: the config must describe a layer, received {config}")
    return layer


def __getattr__(name):
    if name not in preprocessing.__all__:
        raise missing_names.missing(__name__, name)
    value = globals()[name] = getattr(preprocessing, name)
    return value


def __dir__():
    return sorted({*globals(), *__all__})

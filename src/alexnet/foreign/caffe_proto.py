"""The field numbers of Caffe's messages, by the names of messages and fields in caffe.proto.

Source: src/caffe/proto/caffe.proto of BVLC/caffe.
"""

from enum import IntEnum


class NetParameter(IntEnum):
    """A network; its layers stand in `LAYER`, or before 2015 in `LAYERS`."""

    LAYERS, LAYER = 2, 100


class LayerParameter(IntEnum):
    """A layer."""

    NAME = 1
    TYPE = 2
    BLOBS = 7
    TRANSFORM_PARAM = 100
    CONVOLUTION_PARAM = 106
    DROPOUT_PARAM = 108
    LRN_PARAM = 118
    POOLING_PARAM = 121
    INPUT_PARAM = 143


class V1LayerParameter(IntEnum):
    """A layer of before 2015; `LAYER` is there where it is of an even older format, V0."""

    LAYER = 1
    NAME = 4
    TYPE = 5
    BLOBS = 6
    CONVOLUTION_PARAM = 10
    DROPOUT_PARAM = 12
    LRN_PARAM = 18
    POOLING_PARAM = 19
    TRANSFORM_PARAM = 36


class BlobProto(IntEnum):
    """An array; older files state its four sides in place of `SHAPE`."""

    NUM, CHANNELS, HEIGHT, WIDTH = 1, 2, 3, 4
    DATA, SHAPE, DOUBLE_DATA = 5, 7, 8


class BlobShape(IntEnum):
    """The sides of an array."""

    DIM = 1


class ConvolutionParameter(IntEnum):
    """The geometry of a convolution."""

    PAD, STRIDE = 3, 6


class PoolingParameter(IntEnum):
    """The geometry of pooling; a `POOL` of 0 takes the maximum."""

    POOL, KERNEL_SIZE, STRIDE = 1, 2, 3


class LRNParameter(IntEnum):
    """The constants of normalisation; a `NORM_REGION` of 0 is across channels."""

    LOCAL_SIZE, ALPHA, BETA, NORM_REGION, K = 1, 2, 3, 4, 5


class DropoutParameter(IntEnum):
    """The rate of dropout."""

    DROPOUT_RATIO = 1


class TransformationParameter(IntEnum):
    """What a data layer does to its pictures."""

    SCALE, CROP_SIZE, MEAN_VALUE = 1, 3, 5


class InputParameter(IntEnum):
    """The shapes of the inputs."""

    SHAPE = 1


V1_LAYER_TYPES = {
    **{1: "Accuracy", 4: "Convolution", 5: "Data", 6: "Dropout", 9: "HDF5Data", 12: "ImageData", 14: "InnerProduct"},
    **{15: "LRN", 17: "Pooling", 18: "ReLU", 20: "Softmax", 21: "SoftmaxWithLoss", 22: "Split", 24: "WindowData"},
    **{29: "MemoryData", 32: "DummyData", 36: "Silence"},
}
"""V1LayerParameter.LayerType -> the `type` of a LayerParameter."""

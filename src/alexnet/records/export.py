"""What is known of a network that was exported for another runtime."""

from alexnet.records.record import Count, Fraction, Record


class Parity(Record, frozen=True, kw_only=True, omit_defaults=True):
    """How far the probabilities of an engine are from the network's own.

    Attributes:
        engine: Name and version of the runtime.
        pictures: How many pictures were compared.
        origin: Where the pictures came from, in words.
        error: Norm of the difference over the norm of the output, the largest of all pictures.
        same_first: Pictures whose most probable class is the same.
        whole_difference: Largest difference of a probability where the engine resized the decoded pictures itself.
    """

    engine: str
    pictures: Count
    origin: str
    error: float
    same_first: Count
    whole_difference: float | None = None


class MeasuredFile(Record, frozen=True, kw_only=True):
    """The size of an exported network, and its errors over `n` pictures of `split` in its own runtime."""

    bytes: Count
    top1_error: Fraction
    top5_error: Fraction
    n: Count
    split: str


class Int8(Record, frozen=True, kw_only=True):
    """A network before and after it was quantised, and the ratio of the sizes, after over before."""

    before: MeasuredFile
    after: MeasuredFile
    ratio: float


class Exported(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A network that was exported.

    Attributes:
        file: The file or folder.
        format: Name of the format.
        opset: Version of ONNX's operators.
        lrn: How an ONNX file normalises: `native` or `decomposed`.
        parity: The float32 network in the runtime, compared with ours.
        int8: Size and errors before and after quantisation.
        rounded: The network with 8-bit weights in the runtime, compared with ours.
        bytes: Size of the file, or of all files of the folder.
        network_bytes: Size of the network alone, in a folder.
    """

    file: str
    format: str
    opset: int | None = None
    lrn: str | None = None
    parity: Parity
    int8: Int8 | None = None
    rounded: Parity | None = None
    bytes: Count
    network_bytes: Count | None = None

"""What an index is of, and its files on the disk.

    INDEX/index.json    `Contents`, sealed and replaced last, so that what it does not count is not there
          vectors       float16 (N, width): half the disk of float32, and distances within a thousandth
          rows          a `ROW` a picture
          names         names of the pictures in their sources, one after the other, UTF-8
          thumbnails    a JPEG a picture, one after the other

Files only grow. What an interrupted indexing wrote behind its last `index.json` is cut off by the next.
"""

from contextlib import suppress
from pathlib import Path
from zlib import crc32

import numpy as np

from alexnet.errors import DataError, UsageError
from alexnet.evaluation.classifier import Classifier, weight_file
from alexnet.files import sha256
from alexnet.records import Count, Preprocessing, Record, read

RECORD = "index.json"
FILES = ("vectors", "rows", "names", "thumbnails")
ROW = np.dtype([("key", "<u8"), ("label", "<i4"), ("source", "<i4"), ("name_end", "<i8"), ("thumbnail_end", "<i8")])
"""What a picture is known by, its class and source by their places in `Contents`, and where name and thumbnail end."""

READ = 2**22
REMEDY = "index the pictures again, into a new folder"


class Part(Record, frozen=True, kw_only=True):
    """How much of a file counts, and the checksum of that."""

    length: Count = 0
    crc32: Count = 0

    def longer(self, data: bytes) -> "Part":
        """Returns the part with data behind it."""
        return Part(length=self.length + len(data), crc32=crc32(data, self.crc32))


class Contents(Record, frozen=True, kw_only=True):
    """`index.json`: the network and layer, and how many pictures of which sources there are."""

    network: str  # as its user named it; a path is absolute
    variant: str
    weights_sha256: str  # of the weight file
    preprocessing: Preprocessing
    layer: str  # of the network's layers
    width: Count
    pictures: Count = 0
    sources: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    files: dict[str, Part]

    def located(self, index: Path) -> str:
        """Returns the network, if it is still where it was.

        Raises:
            UsageError: The network is gone from where it was.
        """
        if Path(self.network).is_absolute() and not Path(self.network).exists():
            raise UsageError(f"{index} is of {self.network}, which is gone: say by `run` where that network lies now")
        return self.network

    def check_network(self, other: "Contents", index: Path) -> None:
        """Refuses what is of another network or layer than the index.

        Raises:
            UsageError: The weights or the layer differ.
        """
        if other.weights_sha256 != self.weights_sha256:
            raise UsageError(f"{index} is of another network, {self.network}: take that one, or make a new index")
        if other.layer != self.layer:
            raise UsageError(f"{index} is of layer {self.layer}, not of {other.layer}: take that, or make a new index")


def describe(run: str | Path, classifier: Classifier, layer: str) -> Contents:
    """Returns the contents of an index without pictures, of a layer of `model.order`."""
    path, black = weight_file(run), np.zeros((1, classifier.stored_size, classifier.stored_size, 3), np.uint8)
    return Contents(
        network=str(Path(run).absolute()) if Path(run).exists() else str(run),
        variant=classifier.model.variant,
        weights_sha256=sha256(path),
        preprocessing=classifier.header.preprocessing,
        layer=layer,
        width=classifier.outputs(black, layer).size,
        files=dict.fromkeys(FILES, Part()),
    )


def read_contents(index: Path) -> Contents:
    """Reads and checks `index.json`; the files beside it are not looked at.

    Raises:
        UsageError: There is no index.
        DataError: The record is damaged.
    """
    try:
        text = (index / RECORD).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"there is no index at {index}: alexnet index makes one") from error
    contents = read(Contents, text, index / RECORD, DataError, REMEDY)
    if (
        contents.files.keys() != set(FILES)
        or contents.files["vectors"].length != 2 * contents.width * contents.pictures
    ):
        raise DataError(f"{index / RECORD} does not fit its files: {REMEDY}")
    return contents


def check_files(index: Path, contents: Contents) -> None:
    """Reads every file, in little memory, and compares it with its checksum.

    Raises:
        DataError: A file is missing, shorter than recorded, or another.
    """
    for name, part in contents.files.items():
        left, checksum = part.length, 0
        with suppress(FileNotFoundError), (index / name).open("rb") as file:
            while left and (data := file.read(min(READ, left))):
                left, checksum = left - len(data), crc32(data, checksum)
        if left or checksum != part.crc32:
            raise DataError(f"{index / name} is {'cut off' if left else 'not as it was written'}: {REMEDY}")

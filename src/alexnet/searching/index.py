"""An index, opened to look for the pictures in it that are nearest to others.

index = Index.open("pictures.index")
index.nearest(classifier.features(classifier.read("query.jpg")), 10)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.data.imagenet import words
from alexnet.errors import DataError, UsageError
from alexnet.records import Neighbour
from alexnet.searching.contents import REMEDY, ROW, Contents, check_files, read_contents
from alexnet.searching.nearest import nearest


@dataclass(frozen=True)
class Index:
    """An open index; safe between threads. Its files stay on the disk, whatever their number."""

    path: Path
    contents: Contents
    vectors: NDArray[np.float16]  # (N, width)
    _rows: NDArray[np.void]
    _names: NDArray[np.uint8]
    _thumbnails: NDArray[np.uint8]

    @classmethod
    def open(cls, path: str | Path) -> "Index":
        """Opens an index, after every file was compared with its checksum.

        Raises:
            UsageError: There is no index, or it holds no pictures yet.
            DataError: A file is missing, cut off or altered.
        """
        folder = Path(path)
        contents = read_contents(folder)
        if not contents.pictures:
            raise UsageError(f"{folder} holds no pictures yet: run alexnet index again")
        check_files(folder, contents)
        count, files = contents.pictures, contents.files
        # Copied on write: torch takes no array that cannot be written, and nothing writes.
        rows = np.memmap(folder / "rows", ROW, "r", shape=(count,))
        ends = {"names": rows["name_end"][-1], "thumbnails": rows["thumbnail_end"][-1]}
        is_sound = rows["label"].max() < len(contents.classes) and rows["source"].max() < len(contents.sources)
        if not is_sound or any(files[name].length != end for name, end in ends.items()):
            raise DataError(f"{folder / 'rows'} does not fit its files: {REMEDY}")
        return cls(
            path=folder,
            contents=contents,
            vectors=np.memmap(folder / "vectors", "<f2", "c", shape=(count, contents.width)),
            _rows=rows,
            _names=np.memmap(folder / "names", np.uint8, "r", shape=(files["names"].length,)),
            _thumbnails=np.memmap(folder / "thumbnails", np.uint8, "r", shape=(files["thumbnails"].length,)),
        )

    def __len__(self) -> int:
        return self.contents.pictures

    def nearest(self, vectors: NDArray[np.float32], k: int = 10) -> list[tuple[Neighbour, ...]]:
        """Returns for each vector of the index's layer, (N, width), its k nearest pictures, the nearest first.

        Raises:
            UsageError: The vectors have another width, or k is below 1.
        """
        if k < 1:
            raise UsageError(f"`top` takes 1 or more, got {k}")
        vectors = vectors.reshape(len(vectors), -1)
        if vectors.shape[1] != self.contents.width:
            raise UsageError(
                f"{self.path} holds {self.contents.width} numbers a picture, of {self.contents.layer}, "
                f"and not {vectors.shape[1]}: search with that layer of {self.contents.network}"
            )
        # Rounded as the index is, so that a picture in it is at distance 0 from itself.
        near = nearest(vectors.astype(np.float16).astype(np.float32), self.vectors, k)
        return [
            tuple(self._neighbour(int(place), float(distance)) for place, distance in zip(*row, strict=True))
            for row in zip(near.places, near.distances, strict=True)
        ]

    def thumbnail(self, place: int) -> bytes:
        """Returns the picture at a place of the index, small, as a JPEG file."""
        return self._slice(self._thumbnails, self._rows["thumbnail_end"], place)

    def _neighbour(self, place: int, distance: float) -> Neighbour:
        row = self._rows[place]
        name = self._slice(self._names, self._rows["name_end"], place).decode("utf-8", "replace")
        class_name = self.contents.classes[row["label"]]
        return Neighbour(
            place=place,
            path=str(Path(self.contents.sources[row["source"]], name)),
            class_name=class_name,
            words=words(class_name),
            distance=distance,
        )

    @staticmethod
    def _slice(data: NDArray[np.uint8], ends: Sequence[int] | NDArray[np.int64], place: int) -> bytes:
        return data[ends[place - 1] if place else 0 : ends[place]].tobytes()

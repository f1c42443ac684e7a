"""Pictures whose right class a person has told, kept for a training: `alexnet train --labels DIR/corrections.csv`."""

import csv
import hashlib
import io
import threading
from pathlib import Path

from alexnet.data import decode
from alexnet.data.tables import read_table
from alexnet.errors import UsageError
from alexnet.files import alone_in, plain_errors, write
from alexnet.serving.answers import Kept
from alexnet.serving.bodies import File
from alexnet.serving.limits import Refusal

TABLE, PICTURES = "corrections.csv", "pictures"
MOST = 10_000
"""Pictures that are kept at most."""


class Corrections:
    """A folder of pictures, and a table of their paths and right classes beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._writing = folder, threading.Lock()
        with plain_errors(folder):
            (folder / PICTURES).mkdir(parents=True, exist_ok=True)
            if not (folder / TABLE).exists():
                write(folder / TABLE, "path,label\n")
        if not (folder / TABLE).is_file():
            raise UsageError(f"{folder / TABLE} is no file: choose another folder for `corrections`")

    def keep(self, file: File, class_name: str) -> Kept:
        """Keeps a picture, under a name that its content gives, with its class, in place of the one it had before.

        Raises:
            Refusal: The folder is full.
            DataError: The disk is full, or the table cannot be read.
        """
        kind = decode.header(file.data, file.name).format.lower()
        name = f"{PICTURES}/{hashlib.sha256(file.data).hexdigest()[:24]}.{kind}"
        place, text = self._folder / TABLE, io.StringIO()
        with self._writing, alone_in(self._folder):
            if sum(1 for _ in (self._folder / PICTURES).iterdir()) >= MOST:
                raise Refusal(429, f"{MOST:,} corrections are kept already: train with them, and empty the folder")
            right = {row.path: row.label for row in read_table(TABLE, place.read_bytes())} | {name: class_name}
            csv.writer(text, lineterminator="\n").writerows([("path", "label"), *right.items()])
            write(self._folder / name, file.data)
            write(place, text.getvalue())
        return Kept(picture=name, class_name=class_name)

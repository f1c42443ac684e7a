"""Pictures whose right class a person has told, kept for a training: `alexnet train --labels DIR/corrections.csv`."""

import csv
import hashlib
import io
import threading
from pathlib import Path

from PIL import Image

from alexnet.errors import UsageError
from alexnet.files import plain_errors, write
from alexnet.serving.answers import Kept
from alexnet.serving.bodies import File
from alexnet.serving.limits import Refusal

TABLE, PICTURES = "corrections.csv", "pictures"
MOST = 10_000
"""Pictures that are kept at most."""


class Corrections:
    """A folder of pictures, and a table of their paths and right classes beside it, which is only added to."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._writing = folder, threading.Lock()
        with plain_errors(folder):
            (folder / PICTURES).mkdir(parents=True, exist_ok=True)
            if not (folder / TABLE).exists():
                write(folder / TABLE, "path,label\n")
        if not (folder / TABLE).is_file():
            raise UsageError(f"{folder / TABLE} is no file: choose another folder for `corrections`")

    def keep(self, file: File, class_name: str) -> Kept:
        """Keeps a picture, under a name that its content gives, and adds a line with its class.

        Raises:
            Refusal: The folder is full.
        """
        kind = (Image.open(io.BytesIO(file.data)).format or "jpg").lower()
        name = f"{PICTURES}/{hashlib.sha256(file.data).hexdigest()[:24]}.{kind}"
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow([name, class_name])
        with self._writing:
            if sum(1 for _ in (self._folder / PICTURES).iterdir()) >= MOST:
                raise Refusal(429, f"{MOST:,} corrections are kept already: train with them, and empty the folder")
            write(self._folder / name, file.data)
            with (self._folder / TABLE).open("a", encoding="utf-8") as table:
                table.write(line.getvalue())
        return Kept(picture=name, class_name=class_name)

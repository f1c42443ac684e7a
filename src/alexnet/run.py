"""A run folder: what a training leaves behind, and the only place that knows the names of its files."""

import platform
import shlex
import shutil
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from msgspec import structs
from numpy.typing import NDArray

from alexnet import __version__, config, records
from alexnet.config import Train
from alexnet.data.store import Store
from alexnet.errors import CheckpointError, DataError, UsageError
from alexnet.files import alone_in, check_place, make_folder, write
from alexnet.models.network import Network
from alexnet.records import Ancestor, Description, Evaluation, Examples, Gain, Header, StepRow, ValidationRow
from alexnet.team import Team
from alexnet.weights import compressed
from alexnet.weights.strange import refuse_strange

Kind = TypeVar("Kind")

CONFIG = "config.json"
REMEDY = "restore it from a copy, or start a new run in another folder"


@dataclass(frozen=True)
class Rows:
    """The lines of `metrics.jsonl` by rising step; of a step that was made twice the later line."""

    steps: tuple[StepRow, ...]
    validations: tuple[ValidationRow, ...]
    damaged: int  # number of lines that are neither; an interrupted write leaves one


class Run:
    """A run folder and its files, which need not be there."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.config = self.folder / CONFIG
        self.metrics = self.folder / "metrics.jsonl"  # losses and errors as the training went, a JSON object a line
        self.best = self.folder / "model.safetensors"  # the weights of the lowest loss on the validation split
        self.last = self.folder / "last.safetensors"  # the newest weights with all that resuming needs
        self.planted = self.folder / "planted.safetensors"  # what was taken over from a trained network, untrained
        self.frozen = self.folder / "frozen.safetensors"  # the same with a head that was fitted to frozen features
        self.gain_file = self.folder / "gain.json"  # what fine-tuning gained over frozen features
        self.report = self.folder / "report.html"
        self.evaluation_file = self.folder / "evaluation.json"
        self.examples_file = self.folder / "examples.json"
        self.pictures_file = self.folder / "pictures.npy"  # uint64: what the training pictures are known by, sorted

    @property
    def weights(self) -> Path:
        """The weights to use: the best of the training, or the compressed file of a compression."""
        packed = self.folder / compressed.NAME
        return packed if packed.is_file() and not self.best.is_file() else self.best

    @property
    def newest(self) -> Path:
        """The newest file to go on from: of the training, or else of the stages before it. It need not be there."""
        return next((path for path in (self.last, self.frozen, self.planted) if path.is_file()), self.last)

    @property
    def exists(self) -> bool:
        """Whether the folder holds the file that makes it a run."""
        return self.config.is_file()

    def create(self, description: Description) -> None:
        """Makes the folder and writes its configuration.

        Raises:
            UsageError: The folder already holds something, or cannot be made.
        """
        self.check_new()
        make_folder(self.folder)
        write(self.config, records.sealed(description) + "\n")

    def check_new(self) -> None:
        """Checks that the folder does not exist yet, or is empty, and can be written.

        Raises:
            UsageError: The folder holds something, is a file, or cannot be made.
        """
        folder = self.folder
        # An attempt to create the run that was cut short leaves only these files.
        cut_short = {f"{CONFIG}.tmp", self.planted.name, f"{self.planted.name}.tmp"}
        if folder.exists() and (not folder.is_dir() or any(p.name not in cut_short for p in folder.iterdir())):
            go_on = f", or continue it with: alexnet train --resume {shlex.quote(str(folder))}" * self.exists
            raise UsageError(f"{folder} exists already; choose another folder{go_on}")
        check_place(folder)

    def check_room(self, weights: int) -> None:
        """Checks that the disk can hold all that a training of `weights` bytes of weights writes.

        Raises:
            DataError: The disk has less room.
        """
        # The best weights; the newest with their momentum; and those once more, until the new file is whole.
        there = sum(path.stat().st_size for path in (self.best, self.last) if path.is_file())
        needed, free = (1 + 2 + 2) * weights - there, shutil.disk_usage(self.folder).free
        if free < needed:
            raise DataError(
                f"the disk of {self.folder} has {free / 1e6:,.1f} MB free, and this training needs "
                f"{needed / 1e6:,.1f} MB for its weights: free some space and run it again"
            )

    def description(self) -> Description:
        """Reads `config.json`.

        Raises:
            CheckpointError: The folder is no run folder, or the file is damaged.
        """
        if not self.exists:
            if self.folder.is_file():
                refuse_strange(self.folder)
            raise CheckpointError(f"{self.folder} is no run folder: it has no {CONFIG}")
        return records.read(Description, self.config.read_bytes(), self.config, CheckpointError, REMEDY)

    def is_begun(self, settings: Train, store: Store, ancestor: str | None = None) -> bool:
        """Returns whether the folder holds a run of these very settings and data, from an ancestor of this SHA-256."""
        description = self._of(settings, ancestor)
        return bool(description and description.data and description.data.hash == store.content_hash)

    def is_unfinished(self, settings: Train, ancestor: str | None = None) -> bool:
        """Returns whether the folder holds such a run, of whichever data, that has not come to its report yet."""
        description = self._of(settings, ancestor)
        return bool(description and not (description.seconds is not None and self.report.is_file()))

    def _of(self, settings: Train, ancestor: str | None) -> Description | None:
        try:
            description = self.description()
        except CheckpointError:  # no run at all, or another program's `config.json`
            return None
        own = description.ancestor.sha256 if description.ancestor else None
        return description if (description.settings, own) == (settings, ancestor) else None

    def moved(self, description: Description, source: str, is_writer: bool = True) -> Description:
        """Returns the description with the data at `source`; writes it down where that is new, if `is_writer`."""
        if description.data is None or description.data.source == source:
            return description
        description = structs.replace(description, data=structs.replace(description.data, source=source))
        if is_writer:
            write(self.config, records.sealed(description) + "\n")
        return description

    def located(self, header: Header) -> Header:
        """Returns a header of the run's weights with its data where the run last found them."""
        try:
            data = self.description().data
        except CheckpointError:  # the weights say enough by themselves
            return header
        if data is None or header.data is None or data.hash != header.data.hash:
            return header
        return structs.replace(header, data=structs.replace(header.data, source=data.source))

    def finish(self, seconds: float) -> None:
        """Writes down that the training is complete, and how long it took."""
        self.planted.unlink(missing_ok=True)
        write(self.config, records.sealed(structs.replace(self.description(), seconds=seconds)) + "\n")

    def compare(self, description: Description, header: Header) -> None:
        """Compares `config.json` with the header of the file to resume from.

        Raises:
            CheckpointError: They tell of different trainings.
        """
        ours, theirs = map(_decisive, (description, header))
        for name, value in ours.items():
            if value != theirs.get(name):
                apart = (
                    f"{name} is {_short(value)} in {self.config}, and {_short(theirs.get(name))} in {self.last.name}"
                )
                raise CheckpointError(f"{apart}: a run keeps its settings; restore {CONFIG}, or start a new run")

    def evaluation(self) -> Evaluation | None:
        """Reads the errors last measured; returns None where nothing was measured yet.

        Raises:
            CheckpointError: The file is damaged.
        """
        return self._measured(Evaluation, self.evaluation_file)

    def examples(self) -> Examples | None:
        """Reads the example pictures of the last evaluation; returns None where nothing was measured yet.

        Raises:
            CheckpointError: The file is damaged.
        """
        return self._measured(Examples, self.examples_file)

    def gain(self) -> Gain | None:
        """Reads what fine-tuning gained over frozen features; returns None where that was not measured.

        Raises:
            CheckpointError: The file is damaged.
        """
        return self._measured(Gain, self.gain_file)

    def put(self, evaluation: Evaluation, examples: Examples, usual: str) -> Path:
        """Writes the result of an evaluation, and returns the path of its file.

        `evaluation.json` and `examples.json` are of the `usual` split, which is measured where none is named; the
        result on another one goes into files of its own, such as `evaluation-train.json`.

        Raises:
            UsageError: The folder cannot be written.
            DataError: The disk is full.
        """
        other = "" if evaluation.split == usual else f"-{evaluation.split}"
        paths = (file.with_stem(file.stem + other) for file in (self.evaluation_file, self.examples_file))
        evaluation_file, examples_file = paths
        write(evaluation_file, records.sealed(evaluation) + "\n")
        write(examples_file, records.sealed(examples, indent=None) + "\n")
        return evaluation_file

    def keep_pictures(self, store: Store) -> None:
        """Writes down what the training pictures are known by, unless that is done or not known."""
        digests = store.splits["train"].digests
        if digests.all() and not self.pictures_file.exists():
            buffer = BytesIO()
            np.save(buffer, np.unique(digests), allow_pickle=False)
            write(self.pictures_file, buffer.getvalue())

    def pictures(self) -> NDArray[np.uint64] | None:
        """Reads what the training pictures are known by (`data.listing.digest`), sorted; None where that is not known.

        Raises:
            CheckpointError: The file is damaged.
        """
        if not self.pictures_file.is_file():
            return None
        try:
            digests = np.load(self.pictures_file)
        except (ValueError, EOFError, OverflowError, MemoryError) as error:
            raise CheckpointError(f"{self.pictures_file} is damaged ({error}): {REMEDY}") from error
        if digests.dtype != np.uint64 or digests.ndim != 1:
            raise CheckpointError(f"{self.pictures_file} is damaged: {REMEDY}")
        return np.asarray(digests)

    def rows(self) -> Rows:
        """Reads `metrics.jsonl`."""
        rows: list[StepRow | ValidationRow | None] = []
        if self.metrics.is_file():
            with self.metrics.open("rb") as file:
                rows = [as_row(line) for line in file if line.strip()]
        steps = {row.step: row for row in rows if isinstance(row, StepRow)}
        validations = {row.step: row for row in rows if isinstance(row, ValidationRow)}
        return Rows(
            tuple(steps[step] for step in sorted(steps)),
            tuple(validations[step] for step in sorted(validations)),
            rows.count(None),
        )

    def alone(self, team: Team) -> AbstractContextManager[None]:
        """Keeps other programs from training in the folder too.

        Raises:
            UsageError: Another program already trains in it.
        """
        if not team.is_first:
            return nullcontext()
        return alone_in(self.folder, "is being trained by another program: wait for it, or stop it")

    def _measured(self, kind: type[Kind], path: Path) -> Kind | None:
        if not path.is_file():
            return None
        remedy = f"write it anew with alexnet evaluate {self.folder}"
        return records.read(kind, path.read_bytes(), path, CheckpointError, remedy)


def _decisive(description: Description) -> dict[str, object]:
    """Returns what makes a training this one and no other, by name."""
    data = description.data or records.Dataset()
    settings = {} if description.settings is None else config.to_json(description.settings)
    facts = {"preprocessing": description.preprocessing, "classes": description.classes}
    return {**settings, **facts, "data": data.hash, "counts": data.counts}


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:40]} ... {text[-35:]}"


def as_row(line: bytes) -> StepRow | ValidationRow | None:
    """Reads a line of `metrics.jsonl`; returns None if it is damaged."""
    kind: type[StepRow] | type[ValidationRow] = ValidationRow if b'"val_loss"' in line else StepRow
    try:
        return records.read(kind, line, "metrics", CheckpointError, "")
    except CheckpointError:
        return None


def describe(
    settings: Train, model: Network, store: Store, source: str, ancestor: Ancestor | None = None
) -> Description:
    """Returns everything that decides a run; `source` is what the user called the data, to find them again."""
    return Description(
        recipe=settings.recipe,
        variant=model.variant,
        input_size=model.input_size,
        parameters=sum(p.numel() for p in model.parameters()),
        train=config.to_json(settings),
        classes=store.classes,
        preprocessing=records.Preprocessing(
            stored_size=store.size,
            decoding=store.decoding,
            square=store.square,
            mean=f"that of {ancestor.name}" if ancestor else "per pixel, of the training split",
            divide_pixels_by=settings.divide_pixels_by,
        ),
        data=records.Dataset(
            source=source,
            name=store.name,
            hash=store.content_hash,
            counts={name: len(split) for name, split in store.splits.items()},
            licence=store.licence,
            draw="content",
            selection=store.selection,
            quarantine=store.quarantine,
            left_out=store.left_out[: records.LISTED_IN_RUNS],
        ),
        ancestor=ancestor,
        versions={
            "alexnet": __version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
        machine=records.Machine(processor=platform.processor() or platform.machine(), threads=torch.get_num_threads()),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )

"""From another program's weights to a run folder like any other.

`read` returns one `Imported`, whichever the dialect; `convert` settles what it leaves open (mean image, classes, the
factor of dropout) and writes the run.
"""

import platform
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet import __version__
from alexnet.config import Design
from alexnet.data.imagenet import WORDNET, read_classes
from alexnet.errors import UsageError
from alexnet.files import check_new, make_folder, sha256, write
from alexnet.foreign.imported import Imported
from alexnet.foreign.read import EXPECTED, read, read_mean
from alexnet.models.create import build
from alexnet.models.network import Network
from alexnet.models.variants import VARIANTS, stored_size
from alexnet.records import Conversion, Description, Header, Preprocessing, sealed
from alexnet.run import Run
from alexnet.weights import checkpoint, evidence, manifest
from alexnet.weights.checkpoint import Checkpoint


def convert(
    source: Path, folder: Path, *, mean: Path | None = None, classes: str | None = None, variant: str | None = None
) -> Description:
    """Writes a run folder with the network of another program; returns the description in its `config.json`.

    Args:
        source: The other program's weights; a folder of cuda-convnet's checkpoints stands for the newest.
        folder: The run folder to make; new or empty.
        mean: File of the mean image, if the weights have none; see `read.read_mean`.
        classes: `imagenet-devkit`, `imagenet-wordnet` or a file; see `imagenet.read_classes`.
        variant: Row of `VARIANTS`, where the file does not tell it.

    Raises:
        CheckpointError: The file is damaged, hostile, or no AlexNet.
        UsageError: The file does not exist, the folder holds something, or an argument is missing or does not fit.
        DataError: The disk is full.
    """
    check_new(folder)
    translated = translate(source, mean=mean, classes=classes, variant=variant)
    run = Run(folder)
    make_folder(folder)
    with manifest.renewed(run.best):
        checkpoint.save(run.best, translated.model, translated.mean, translated.header)
    described = {name: getattr(translated.header, name) for name in Description.__struct_fields__}
    description = Description(**described)
    write(run.config, sealed(description) + "\n")
    return description


def translate(
    source: Path, *, mean: Path | None = None, classes: str | None = None, variant: str | None = None
) -> Checkpoint:
    """Returns the network of another program in our conventions; arguments and errors are those of `convert`."""
    path = newest(source) if source.is_dir() else source
    imported = _with_our_dropout(read(path, variant))
    names, guessed_classes = _classes(imported, classes)
    model = _network(imported, len(names), path)
    image, guessed_mean = _mean(imported, mean, model)
    imported = replace(imported, unknown=(*imported.unknown, *guessed_classes, *guessed_mean))
    description = _describe(path, imported, model, names, image)
    return Checkpoint(model, image, {}, Header.of(description, model.design))


def newest(folder: Path) -> Path:
    """Returns the newest of cuda-convnet's checkpoints, which are named EPOCH.BATCH."""
    names = [path.name for path in folder.iterdir() if path.is_file() and re.fullmatch(r"\d{1,9}\.\d{1,9}", path.name)]
    if not names:
        raise UsageError(f"{folder} holds no checkpoints of cuda-convnet (named EPOCH.BATCH); give {EXPECTED}")
    return folder / max(names, key=lambda name: tuple(map(int, name.split("."))))


def _with_our_dropout(imported: Imported) -> Imported:
    """Scales fc7 and fc8 where the file's network rescales for dropout at another time than the variant does."""
    if imported.rescale_dropout == VARIANTS[imported.variant].rescale_dropout:
        return imported
    factor = 1 / (1 - imported.dropout) if imported.rescale_dropout else 1 - imported.dropout
    scaled = {f"{layer}.weight": imported.tensors[f"{layer}.weight"] * factor for layer in ("fc7", "fc8")}
    sentence = (
        f"dropout: weights of fc7 and fc8 are multiplied by {factor:g}, since the file's network "
        f"{'divides in training' if imported.rescale_dropout else 'multiplies at test time'}, unlike {imported.variant}"
    )
    return replace(imported, tensors={**imported.tensors, **scaled}, translated=(*imported.translated, sentence))


def _classes(imported: Imported, spec: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the class of each output, and sentences for `Imported.unknown`."""
    count = len(imported.tensors["fc8.weight"])
    if spec is not None:
        return read_classes(spec, count), ()
    order = imported.dialect.class_order
    if count == 1000:
        words = "sorted by WordNet id" if order == WORDNET else "by the development kit's number"
        guess = f"its classes: 1,000 outputs were taken for ImageNet's {words}; `classes` may name others"
        return read_classes(order, count), (guess,)
    guess = f"its classes: the {count:,} outputs are only numbered; name them by a file as `classes`"
    return tuple(f"output-{i:04d}" for i in range(count)), (guess,)


def _network(imported: Imported, classes: int, path: Path) -> Network:
    design = Design(variant=imported.variant, input_size=imported.input_size, dropout=imported.dropout)
    # The network needs no memory of its own: it takes the tensors, most of which lie in the file.
    with torch.device("meta"):
        model = build(design, classes, initialisation="none")
    tensors = {name: tensor.float().contiguous() for name, tensor in imported.tensors.items()}
    checkpoint.check(model, tensors, path)
    model.load_state_dict(tensors, assign=True)
    evidence.refuse_untrained(model, path)
    return model.eval()


def _mean(imported: Imported, file: Path | None, model: Network) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Returns the mean image, (S, S, 3) with S the side of stored pictures, and sentences for `Imported.unknown`."""
    dialect, guess = imported.dialect, []
    mean = imported.mean if file is None else read_mean(file, dialect.is_bgr)
    if mean is None:
        mean = np.array(dialect.mean_colour, np.float32)
        colour = ", ".join(f"{value:.2f}" for value in mean)
        guess.append(f"its mean image: ImageNet's mean colour, {colour}, was taken; give a file as `mean`")
    if mean.ndim == 1:
        side = stored_size(model.variant, model.input_size)
        mean = np.ascontiguousarray(np.broadcast_to(mean, (side, side, 3)))
    if not model.input_size <= len(mean) <= checkpoint.LARGEST:
        raise UsageError(f"the mean image has {len(mean)} pixels a side, the network takes {model.input_size}")
    return mean, tuple(guess)


def _describe(
    path: Path, imported: Imported, model: Network, classes: tuple[str, ...], mean: NDArray[np.float32]
) -> Description:
    return Description(
        variant=model.variant,
        input_size=model.input_size,
        parameters=sum(p.numel() for p in model.parameters()),
        classes=classes,
        preprocessing=Preprocessing(
            stored_size=len(mean),
            square=imported.dialect.square,
            mean="one colour" if np.ptp(mean, (0, 1)).max() == 0 else "per pixel",
            divide_pixels_by=imported.divide_pixels_by,
        ),
        converted=Conversion(
            dialect=imported.format,
            file=path.name,
            sha256=sha256(path),
            layers=dict(imported.mapping),
            translated=imported.translated,
            not_known=imported.unknown,
        ),
        versions={"alexnet": __version__, "python": platform.python_version(), "torch": str(torch.__version__)},
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )

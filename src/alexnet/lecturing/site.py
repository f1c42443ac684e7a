"""The folder of the lecture: the page as the package holds it, and beside it what it shows, as scripts.

A browser refuses to fetch anything for a page that was opened as a file, but runs a classic script. So texts, figures,
pictures and the network are scripts, and the page is the same from a web server and from a file.
"""

import base64
import json
import shutil
import tempfile
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path

import msgspec
import numpy as np
import torch

from alexnet.data.labels import labels
from alexnet.evaluation.classifier import Classifier
from alexnet.files import plain_errors
from alexnet.lecturing.network import Layer, Part, layers, tensors
from alexnet.models.create import create
from alexnet.models.summary import Summary, summary
from alexnet.models.variants import VARIANTS
from alexnet.pages.markup import data_uri
from alexnet.records import Record

SHOWN = ("coffee", "chelsea", "rocket")
"""Photographs that stand first; the page offers three, and compares all of them with the picture in hand."""

# RGB in [0, 1] over the training pictures of tiny-imagenet, as `dataset.json` of their packed store has it.
COVARIANCE = (
    (0.07087726547397794, 0.060373541386065786, 0.05265983671145441),
    (0.060373541386065786, 0.06663383222491197, 0.0626363986900287),
    (0.05265983671145441, 0.0626363986900287, 0.07386792700852468),
)


class Components(Record, frozen=True, kw_only=True):
    """The principal components of RGB over training pictures, the strongest first."""

    eigenvalues: tuple[float, ...]  # of pixels in [0, 1]
    vectors: tuple[tuple[float, ...], ...]  # (3, 3), a component a row


class Site(Record, frozen=True, kw_only=True):
    """What the page knows of its network, and of the lecture's own."""

    name: str  # what the user called the network
    variant: str
    is_alexnet: bool
    input_size: int
    stored_size: int
    square: str
    divide_pixels_by: float
    is_exact: bool  # whether no weight had to be rounded
    classes: tuple[str, ...]
    layers: tuple[Layer, ...]
    parts: tuple[Part, ...]
    components: Components
    notebooks: tuple[str, ...]  # names of those in the folder
    summaries: dict[str, Summary]  # of published networks, by their variants


class Written(Record, frozen=True, kw_only=True):
    """A lecture that was written: its folder, the bytes of all its files, and the network's name and variant."""

    folder: str | None  # None where it did not stay
    bytes: int
    network: str
    variant: str


def write_site(out: Path, name: str, classifier: Classifier, photographs: Mapping[str, bytes] | None = None) -> Written:
    """Writes the folder, whole or not at all.

    `photographs` are JPEG files by their names; without them the page shows its own.

    Raises:
        UsageError: The folder cannot be written.
        DataError: The disk is full.
    """
    parts, stream = tensors(classifier)
    notebooks = _notebooks()
    site = _site(name, classifier, parts, tuple(path.stem for path in notebooks))
    scripts = {
        "site.js": f"lecture.site = {_json(msgspec.to_builtins(site))};\n",
        "weights.js": f'lecture.weights = "{base64.b64encode(stream).decode()}";\n',
    }
    parent = out.absolute().parent
    with plain_errors(out), tempfile.TemporaryDirectory(prefix=f"{out.name}.", dir=parent) as work:
        folder = Path(work) / out.name
        with as_file(files("alexnet.lecturing").joinpath("page")) as page:
            shutil.copytree(page, folder)
        for text in ("texts", "figures"):
            content = json.loads((folder / f"{text}.json").read_text(encoding="utf-8"))
            scripts[f"{text}.js"] = f"lecture.{text} = {_json(content)};\n"
            (folder / f"{text}.json").unlink()
        pictures = {path.stem: path.read_bytes() for path in sorted((folder / "pictures").glob("*.jpg"))}
        first = {key: pictures.pop(key) for key in SHOWN}
        addresses = {key: data_uri(jpeg) for key, jpeg in (photographs or {**first, **pictures}).items()}
        epochs = {path.stem: data_uri(path.read_bytes()) for path in (folder / "pictures" / "epochs").iterdir()}
        scripts["pictures.js"] = f"lecture.photographs = {_json(addresses)};\nlecture.epochs = {_json(epochs)};\n"
        shutil.rmtree(folder / "pictures")
        (folder / "notebooks").mkdir()
        for notebook in notebooks:
            shutil.copy(notebook, folder / "notebooks")
        for file, content in scripts.items():
            (folder / file).write_text(content, encoding="utf-8")
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if out.exists():  # empty, as the command has checked
            out.rmdir()
        folder.rename(out)
    return Written(folder=str(out), bytes=size, network=name, variant=classifier.model.variant)


def _notebooks() -> list[Path]:
    """Returns the lecture's notebooks, which stand in a wheel beside this file, and in the source in `docs`."""
    here = Path(__file__).parent
    folders = (here / "notebooks", here.parents[2] / "docs" / "lecture")
    return next((paths for folder in folders if (paths := sorted(folder.glob("*.ipynb")))), [])


def _site(name: str, classifier: Classifier, parts: tuple[Part, ...], notebooks: tuple[str, ...]) -> Site:
    model = classifier.model
    eigenvalues, vectors = np.linalg.eigh(np.array(COVARIANCE))
    # The sign of a component is free: it points towards the brighter.
    directions = vectors.T[::-1] * np.sign(vectors.T[::-1].sum(1, keepdims=True))
    components = Components(eigenvalues=tuple(eigenvalues[::-1].tolist()), vectors=_rows(directions.tolist()))
    with torch.device("meta"):
        published = {variant: summary(create(variant, initialisation="none")) for variant in VARIANTS}
    return Site(
        name=name,
        variant=model.variant,
        is_alexnet=model.variant in VARIANTS,
        input_size=model.input_size,
        stored_size=classifier.stored_size,
        square=classifier.square,
        divide_pixels_by=classifier.divide_pixels_by,
        is_exact=all(part.coding in ("shared", "float32") for part in parts),
        classes=tuple(labels(classifier.classes).values()),
        layers=layers(model),
        parts=parts,
        components=components,
        notebooks=notebooks,
        summaries=published,
    )


def _rows(rows: list[list[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, rows))


def _json(content: object) -> str:
    """Returns JSON that is JavaScript as well, and cannot end a script."""
    return json.dumps(content, ensure_ascii=False).replace("</", "<\\/")

"""A folder that any web server can serve: a page, the network, and ONNX Runtime for browsers."""

import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from alexnet.data.labels import labels
from alexnet.errors import UsageError
from alexnet.evaluation.classifier import Classifier
from alexnet.evaluation.metrics import interval
from alexnet.exports import onnx
from alexnet.exports.format import Folder
from alexnet.files import plain_errors
from alexnet.records import Record, Square
from alexnet.records.record import Count, Fraction, Size

PACKAGE = "onnxruntime-web@1.30.0"
"""The runtime's package in the npm registry; MIT licence."""

FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
NETWORK, FACTS, PAGE = "network.onnx", "network.json", "index.html"
LICENCE = "onnxruntime-web-LICENSE.txt"
TIMEOUT_S = 300
_REMEDY = f"fetch {PACKAGE} elsewhere and name its folder as the runtime"


class MeasuredError(Record, frozen=True, kw_only=True):
    """The top-1 error of a network, with the ends of its 95 % interval."""

    top1: Fraction
    low: Fraction
    high: Fraction
    split: str
    pictures: Count


class Facts(Record, frozen=True, kw_only=True):
    """What the page must know of its network: `network.json`."""

    name: str
    variant: str
    classes: tuple[str, ...]  # in words, in the order of the outputs
    input_size: Size
    stored_size: Size
    square: Square
    file: str
    bytes: Count
    error: MeasuredError | None


def write_folder(out: Path, network: bytes, classifier: Classifier, runtime: dict[str, bytes]) -> int:
    """Writes the folder, whole or not at all; returns the bytes of all its files.

    `network` is an ONNX file that takes pictures of any size; `runtime` holds the files of onnxruntime-web.

    Raises:
        UsageError: The folder cannot be written.
        DataError: The disk is full.
    """
    assets = {name: _asset("exports", name) for name in (LICENCE, "browser-README.md")}
    texts = {"README.md": assets.pop("browser-README.md"), **assets, **page(), FACTS: facts(classifier, len(network))}
    contents = {**runtime, NETWORK: network, **{name: text.encode() for name, text in texts.items()}}
    parent = out.absolute().parent
    with plain_errors(out.parent), tempfile.TemporaryDirectory(prefix=f"{out.name}.", dir=parent) as work:
        folder = Path(work) / out.name
        folder.mkdir()
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        folder.rename(out)
    return sum(map(len, contents.values()))


def page() -> dict[str, str]:
    """Returns the files of the page of `alexnet serve`, name -> text, with the engine that runs in the browser."""
    texts = {name: _asset("serving/page", name) for name in (PAGE, "page.css", "page.js", "card.js", "browser.js")}
    texts[PAGE] = texts[PAGE].replace('data-engine="server"', 'data-engine="browser"')
    return texts


def facts(classifier: Classifier, network_bytes: int) -> str:
    """Returns `network.json` for a network of `network_bytes` bytes."""
    data, metrics = classifier.header.data, classifier.header.metrics
    error = None
    if metrics:
        low, high = interval(metrics.top1_error, metrics.n)
        error = MeasuredError(top1=metrics.top1_error, low=low, high=high, split=metrics.split, pictures=metrics.n)
    return Facts(
        name=(data and data.name) or "pictures",
        variant=classifier.model.variant,
        classes=tuple(labels(classifier.classes).values()),
        input_size=classifier.model.input_size,
        stored_size=classifier.stored_size,
        square=classifier.square,
        file=NETWORK,
        bytes=network_bytes,
        error=error,
    ).to_json()


def _asset(place: str, name: str) -> str:
    return files("alexnet").joinpath(place, name).read_text(encoding="utf-8")


def fetch(runtime: Path | None) -> dict[str, bytes]:
    """Returns the runtime's files, name -> content, from a folder that holds them, itself or in `dist`, or by npm.

    Raises:
        UsageError: The folder lacks a file; or npm is not installed, or cannot fetch the package.
    """
    if runtime is None:
        return _from_npm()
    for folder in (runtime, runtime / "dist"):
        if all((folder / name).is_file() for name in FILES):
            return {name: (folder / name).read_bytes() for name in FILES}
    raise UsageError(f"{runtime} does not hold {', '.join(FILES)}; unpack the npm package {PACKAGE} there")


def _from_npm() -> dict[str, bytes]:
    """Fetches the files from the npm registry; npm checks their hashes."""
    npm = shutil.which("npm")
    if npm is None:
        raise UsageError(f"npm is not installed, which fetches the browser's runtime; install it, or {_REMEDY}")
    with tempfile.TemporaryDirectory(prefix="alexnet-npm-") as work:
        command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", work]
        try:
            ended = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise UsageError(f"npm did not fetch {PACKAGE} within {TIMEOUT_S} s; {_REMEDY}") from error
        packed = next(Path(work).glob("*.tgz"), None)
        if ended.returncode or packed is None:
            reason = (ended.stderr.strip().splitlines() or ["without a word"])[0]
            raise UsageError(f"npm could not fetch {PACKAGE} ({reason}); {_REMEDY}")
        with tarfile.open(packed) as archive:
            members = {name: archive.extractfile(f"package/dist/{name}") for name in FILES}
            return {name: member.read() for name, member in members.items() if member}


FORMAT = replace(onnx.FORMAT, name="browser", suffix="-browser", takes_pictures=True, round=onnx.round_weights)
FORMAT = replace(FORMAT, folder=Folder(fetch, write_folder))

"""A folder that any web server can show: a page, the network, and ONNX Runtime for browsers; nothing from elsewhere."""

import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from alexnet.data.imagenet import words
from alexnet.errors import UsageError
from alexnet.evaluation.classifier import Classifier
from alexnet.exports import int8, onnx
from alexnet.exports.format import Folder
from alexnet.files import plain_errors

PACKAGE = "onnxruntime-web@1.30.0"
"""The runtime's package in the npm registry; MIT licence."""

FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
NETWORK, PAGE, LICENCE = "network.onnx", "index.html", "onnxruntime-web-LICENSE.txt"
TIMEOUT_S = 300
_REMEDY = f"fetch {PACKAGE} elsewhere and name its folder as the runtime"


def write_folder(out: Path, network: bytes, classifier: Classifier, runtime: Path | None) -> int:
    """Writes the folder, whole or not at all.

    Args:
        out: Folder to make.
        network: Contents of an ONNX file that takes pictures of any size.
        classifier: The network, for its names.
        runtime: Folder with the files of onnxruntime-web; None fetches them by npm.

    Returns:
        Bytes of all its files.

    Raises:
        UsageError: The runtime's files are missing and cannot be fetched, or the folder cannot be written.
    """
    with (
        plain_errors(out.parent),
        tempfile.TemporaryDirectory(prefix=f"{out.name}.", dir=out.absolute().parent) as work,
    ):
        folder = Path(work) / out.name
        folder.mkdir()
        if runtime is None:
            _fetch(folder)
        else:
            for name in FILES:
                shutil.copyfile(_place(runtime) / name, folder / name)
        (folder / NETWORK).write_bytes(network)
        (folder / PAGE).write_text(page(classifier, len(network)), encoding="utf-8")
        (folder / LICENCE).write_text(_asset(LICENCE), encoding="utf-8")
        size = sum(path.stat().st_size for path in folder.iterdir())
        folder.rename(out)
    return size


def page(classifier: Classifier, network_bytes: int) -> str:
    """Returns the page, for a network of so many bytes."""
    data = classifier.header.data
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(_asset("browser.html")).render(
        variant=classifier.model.variant,
        data=(data and data.name) or "pictures",
        count=f"{len(classifier.classes):,}",
        megabytes=f"{network_bytes / 1e6:.0f}",
        facts={
            "network": NETWORK,
            "bytes": network_bytes,
            "side": classifier.stored_size,
            "names": [words(name) or name for name in classifier.classes],
        },
    )


def _asset(name: str) -> str:
    return files("alexnet.exports").joinpath(name).read_text(encoding="utf-8")


def check(runtime: Path | None) -> None:
    """Makes sure that the runtime's files are in its folder, or that npm can be run to fetch them.

    Raises:
        UsageError: The folder lacks a file, or without a folder npm is not installed.
    """
    if runtime is not None:
        _place(runtime)
    elif shutil.which("npm") is None:
        raise UsageError(f"npm is not installed, which fetches the browser's runtime; install it, or {_REMEDY}")


def _place(runtime: Path) -> Path:
    """Returns the folder with the runtime's files: the one named, or `dist` in it, as in the npm package."""
    for folder in (runtime, runtime / "dist"):
        if all((folder / name).is_file() for name in FILES):
            return folder
    raise UsageError(f"{runtime} does not hold {', '.join(FILES)}; unpack the npm package {PACKAGE} there")


def _fetch(folder: Path) -> None:
    """Fetches the runtime's files from the npm registry; npm checks their hashes."""
    with tempfile.TemporaryDirectory(prefix="alexnet-npm-") as work:
        command = [shutil.which("npm") or "npm", "pack", PACKAGE, "--silent", "--pack-destination", work]
        try:
            ended = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise UsageError(f"npm did not fetch {PACKAGE} within {TIMEOUT_S} s; {_REMEDY}") from error
        packed = next(Path(work).glob("*.tgz"), None)
        if ended.returncode or packed is None:
            reason = (ended.stderr.strip().splitlines() or ["without a word"])[0]
            raise UsageError(f"npm could not fetch {PACKAGE} ({reason}); {_REMEDY}")
        with tarfile.open(packed) as archive:
            for name in FILES:
                content = archive.extractfile(f"package/dist/{name}")
                assert content is not None
                (folder / name).write_bytes(content.read())


FORMAT = replace(
    onnx.FORMAT,
    name="browser",
    suffix="-browser",
    takes_pictures=True,
    round=int8.round_weights,
    folder=Folder(check, write_folder),
)

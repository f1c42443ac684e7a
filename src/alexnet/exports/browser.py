"""A folder that any web server can show: a page, the network, and ONNX Runtime for browsers; nothing from elsewhere."""

import shutil
import subprocess
import tarfile
import tempfile
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from alexnet.data.imagenet import words
from alexnet.errors import UsageError
from alexnet.evaluation.classifier import Classifier
from alexnet.files import plain_errors

PACKAGE = "onnxruntime-web@1.30.0"
"""Of the npm registry; MIT licence."""

FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
NETWORK, PAGE, LICENCE = "network.onnx", "index.html", "onnxruntime-web-LICENSE.txt"
TIMEOUT_S = 300
_REMEDY = f"fetch {PACKAGE} elsewhere and give its folder: --runtime DIR"


def write_folder(out: Path, network: bytes, classifier: Classifier, runtime: Path | None) -> int:
    """Writes the folder, whole or not at all.

    Args:
        out: Folder to make.
        network: ONNX file that takes pictures of any size.
        classifier: For the names.
        runtime: Folder with the files of onnxruntime-web; by default npm fetches them.

    Returns:
        Bytes of all its files.

    Raises:
        UsageError: The runtime cannot be had, or the folder cannot be written.
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
        licence = files("alexnet.exports").joinpath(LICENCE).read_text(encoding="utf-8")
        (folder / LICENCE).write_text(licence, encoding="utf-8")
        size = sum(path.stat().st_size for path in folder.iterdir())
        folder.rename(out)
    return size


def page(classifier: Classifier, network_bytes: int) -> str:
    """Returns the page, for a network file of so many bytes."""
    source, data = files("alexnet.exports").joinpath("browser.html"), classifier.header.data
    return (
        Environment(autoescape=True, undefined=StrictUndefined)
        .from_string(source.read_text(encoding="utf-8"))
        .render(
            facts={
                "network": NETWORK,
                "bytes": network_bytes,
                "side": classifier.stored_size,
                "names": [words(name) or name for name in classifier.classes],
            },
            variant=classifier.model.variant,
            data=(data and data.name) or "pictures",
            count=f"{len(classifier.classes):,}",
            megabytes=f"{network_bytes / 1e6:.0f}",
        )
    )


def check(runtime: Path | None) -> None:
    """Makes sure that the runtime's files, or npm to fetch them, are there.

    Raises:
        UsageError: They are not.
    """
    if runtime is not None:
        _place(runtime)
    elif shutil.which("npm") is None:
        raise UsageError(f"npm is not installed, which fetches the browser's runtime; install it, or {_REMEDY}")


def _place(runtime: Path) -> Path:
    """Gives the folder with the runtime's files: the one named, or `dist` in it, as the npm package has it."""
    for place in (runtime, runtime / "dist"):
        if all((place / name).is_file() for name in FILES):
            return place
    raise UsageError(f"{runtime} does not hold {', '.join(FILES)}; unpack the npm package {PACKAGE} there")


def _fetch(folder: Path) -> None:
    """Takes the runtime's files from the npm registry; npm checks what it fetched."""
    with tempfile.TemporaryDirectory(prefix="alexnet-npm-") as work:
        command = [shutil.which("npm") or "npm", "pack", PACKAGE, "--silent", "--pack-destination", work]
        try:
            ended = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise UsageError(f"npm did not fetch {PACKAGE} within {TIMEOUT_S} s; {_REMEDY}") from error
        packed = next(Path(work).glob("*.tgz"), None)
        if ended.returncode or packed is None:
            reason = (ended.stderr.strip().splitlines() or ["it said nothing"])[0]
            raise UsageError(f"npm could not fetch {PACKAGE} ({reason}); {_REMEDY}")
        with tarfile.open(packed) as archive:
            for name in FILES:
                content = archive.extractfile(f"package/dist/{name}")
                assert content is not None
                (folder / name).write_bytes(content.read())

"""The public weights of AlexNets: where they are, who publishes them, and how to fetch them."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError

from alexnet.errors import CheckpointError, UsageError
from alexnet.files import plain_errors
from alexnet.web import Unreachable, Web, why

MAX_BYTES = 1 << 30  # no public AlexNet has a quarter of this; a server that sends more is cut off
_PIECE = 1 << 20
_TIMEOUT_S = 30


@dataclass(frozen=True)
class Public:
    """One published file, as `source` describes it; facts that it does not state are None.

    `checksum` is `sha1:...` or `sha256:...`. The errors are fractions of the ILSVRC-2012 validation set, measured by
    `protocol`; a mean image has none.
    """

    about: str
    url: str
    licence: str
    source: str
    bytes: int | None = None
    checksum: str | None = None
    top1_error: float | None = None
    top5_error: float | None = None
    protocol: str | None = None


@dataclass(frozen=True)
class PublicWeights:
    """The public files, by their names."""

    weights: dict[str, Public]


_BERKELEY = "http://dl.caffe.berkeleyvision.org"


def _bvlc(name: str, about: str, sha1: str, top1_error: float, top5_error: float) -> Public:
    return Public(
        about=about,
        url=f"{_BERKELEY}/{name}.caffemodel",
        licence="unrestricted",
        source=f"BVLC/caffe models/{name}/readme.md",
        checksum=f"sha1:{sha1}",
        top1_error=top1_error,
        top5_error=top5_error,
        protocol="centre crop of 227 from pictures warped to 256 x 256; mean image subtracted",
    )


_ALEXNET, _CAFFENET = "Caffe's bvlc_alexnet, iteration 360,000", "Caffe's reference network, iteration 310,000"

PUBLIC = {
    "caffe-alexnet": _bvlc("bvlc_alexnet", _ALEXNET, "9116a64c0fbe4459d18f4bb6b56d647b63920377", 0.429, 0.198),
    "caffenet": _bvlc("bvlc_reference_caffenet", _CAFFENET, "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46", 0.426, 0.196),
    "caffe-mean": Public(
        about="imagenet_mean.binaryproto for both, beside class lists, in a tar.gz",
        url=f"{_BERKELEY}/caffe_ilsvrc12.tar.gz",
        licence="not stated",
        source="BVLC/caffe data/ilsvrc12/get_ilsvrc_aux.sh",
    ),
    "one-weird-trick": Public(
        about="torchvision's alexnet, IMAGENET1K_V1",
        url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        licence="not stated for the weights (torchvision itself: BSD 3-Clause)",
        source="torchvision.models.AlexNet_Weights",
        checksum="sha256:7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        top1_error=0.43478,
        top5_error=0.20934,
        protocol="centre crop of 224 from pictures with a shorter side of 256",
    ),
}


def find(name: str) -> Public:
    """Returns the public file of a name, or raises a UsageError if the table has none."""
    if name not in PUBLIC:
        raise UsageError(f"no public weights {name!r}; there are {', '.join(PUBLIC)}")
    return PUBLIC[name]


def get(
    public: Public,
    directory: Path,
    given: Path | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Path:
    """Fetches a file into a folder, unless it is there already; an interrupted fetch goes on where it stopped.

    The file gets its name only when it is whole and its checksum is right. A copy that was fetched by other means can
    be `given` instead. `progress` is called with the bytes that have arrived and their total.

    Raises:
        CheckpointError: The checksum or the size is wrong, or the server sends something else.
        UsageError: The server cannot be reached, and the part that has arrived is kept; `given` does not exist; or
            another file has the place.
        DataError: The disk is full.
    """
    path = directory / public.url.rpartition("/")[2]
    part = path.with_name(path.name + ".part")
    with plain_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        if path.exists():
            if public.checksum not in (None, _digest(path, public.checksum or "sha1")):
                raise UsageError(f"{path} exists already and is not the published file: move it, or give a new folder")
            return path
        if given is None:
            _download(public.url, part, public.bytes or MAX_BYTES, progress)
        elif given.is_file():
            shutil.copyfile(given, part)
        else:
            raise UsageError(f"no file {given}")
        _check(public, part, given)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    return path


def _download(url: str, part: Path, limit: int, progress: Callable[[int, int], object]) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise UsageError(f"{url} is no address of a web server")
    done = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={done}-"} if done else {}
    try:
        with closing(Web().get(url, headers, _TIMEOUT_S, is_streamed=True)) as answer:
            if answer.status == 416 and done:  # the server has no more: the part is whole, or the checksum refuses it
                return
            if answer.status not in (200, 206):
                raise UsageError(f"{url} answers {answer.status} ({answer.reason}): fetch it by other means")
            start = done if answer.status == 206 else 0  # a server that knows no ranges sends the whole file
            span = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
            if answer.status == 206 and (not span or int(span[1]) != done):
                raise CheckpointError(f"{url} sends another part than was requested: delete the .part file")
            total = start + (answer.length_remaining or 0)
            if total > limit:
                raise CheckpointError(f"{url} has {total:,} bytes, expected at most {limit:,}; not fetched")
            with part.open("r+b" if start else "wb") as file:
                file.truncate(start)
                file.seek(start)
                for piece in answer.stream(_PIECE, decode_content=False):
                    start += len(piece)
                    if start > limit:
                        raise CheckpointError(f"{url} sends more than the {limit:,} bytes expected; stopped")
                    file.write(piece)
                    progress(start, max(total, start))
    except (Unreachable, HTTPError) as error:
        remedy = "run it again to go on, or fetch it by other means"
        raise UsageError(f"{url} cannot be fetched ({why(error)}): {remedy}") from error


def _check(public: Public, part: Path, given: Path | None) -> None:
    """Refuses, and removes, a file that is not the published one."""
    size = part.stat().st_size
    digest = _digest(part, public.checksum) if public.checksum else None
    if (public.bytes is not None and size != public.bytes) or digest != public.checksum:
        part.unlink()
        facts = f"it has {size:,} bytes and {digest}, expected {public.checksum or f'{public.bytes:,} bytes'}"
        raise CheckpointError(f"{given or public.url} is not the published file: {facts}")


def _digest(path: Path, checksum: str) -> str:
    kind = checksum.partition(":")[0]
    with path.open("rb") as file:
        return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"

"""The public weights of AlexNets: where they lie, what is known of them, and fetching them.

Nothing is fetched unless `get` is called. What no source states is None and said to be unknown.
"""

import hashlib
import http.client
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.errors import CheckpointError, UsageError
from alexnet.files import from_home, plain_errors

MAX_BYTES = 1 << 30
"""No public AlexNet has a quarter of it; a server that sends more is cut off."""

_PART = 1 << 20
_TIMEOUT_S = 30


@dataclass(frozen=True)
class Public:
    """What is known of one file.

    Attributes:
        about: One line.
        url: Where it lies.
        bytes: Its size, or None.
        checksum: `sha1:...` or `sha256:...`, or None.
        licence: As its publisher states it.
        top1_error, top5_error: On the ILSVRC-2012 validation set, fractions, as published; None for a mean image.
        protocol: How they were measured.
        source: Who says so.
    """

    about: str
    url: str
    bytes: int | None
    checksum: str | None
    licence: str
    top1_error: float | None
    top5_error: float | None
    protocol: str | None
    source: str


_BERKELEY = "http://dl.caffe.berkeleyvision.org"
_CAFFE_PROTOCOL = "centre crop of 227 from pictures warped to 256 x 256; mean image subtracted"

PUBLIC = {
    "caffe-alexnet": Public(
        "Caffe's bvlc_alexnet, iteration 360,000",
        f"{_BERKELEY}/bvlc_alexnet.caffemodel",
        None,
        "sha1:9116a64c0fbe4459d18f4bb6b56d647b63920377",
        "unrestricted",
        0.429,
        0.198,
        _CAFFE_PROTOCOL,
        "BVLC/caffe models/bvlc_alexnet/readme.md",
    ),
    "caffenet": Public(
        "Caffe's reference network, iteration 310,000",
        f"{_BERKELEY}/bvlc_reference_caffenet.caffemodel",
        None,
        "sha1:4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
        "unrestricted",
        0.426,
        0.196,
        _CAFFE_PROTOCOL,
        "BVLC/caffe models/bvlc_reference_caffenet/readme.md",
    ),
    "caffe-mean": Public(
        "imagenet_mean.binaryproto for both, beside class lists, in a tar.gz",
        f"{_BERKELEY}/caffe_ilsvrc12.tar.gz",
        None,
        None,
        "not stated",
        None,
        None,
        None,
        "BVLC/caffe data/ilsvrc12/get_ilsvrc_aux.sh",
    ),
    "one-weird-trick": Public(
        "torchvision's alexnet, IMAGENET1K_V1",
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        None,
        "sha256:7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        "not stated for the weights (torchvision itself: BSD 3-Clause)",
        0.43478,
        0.20934,
        "centre crop of 224 from pictures with a shorter side of 256",
        "torchvision.models.AlexNet_Weights",
    ),
}


def find(name: str) -> Public:
    """Looks a file up.

    Raises:
        UsageError: There is none of this name.
    """
    if name not in PUBLIC:
        raise UsageError(f"no public weights {name!r}; there are {', '.join(PUBLIC)}")
    return PUBLIC[name]


def folder() -> Path:
    """Gives where files are kept: below $ALEXNET_CACHE, or else ~/.cache/alexnet."""
    return from_home(os.environ.get("ALEXNET_CACHE") or "~/.cache/alexnet") / "weights"


def get(
    wanted: Public,
    directory: Path,
    given: Path | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Path:
    """Fetches a file, or goes on where an interrupted fetch stopped; one that is there and right is not fetched again.

    Args:
        wanted: Which.
        directory: Where to.
        given: A file fetched by other means, to be checked and copied.
        progress: Called with bytes done and in all (0 where the server does not say).

    Returns:
        The file. It appears under its name only when it is whole and its checksum is right.

    Raises:
        CheckpointError: Its checksum or size is wrong, or the server sends something else.
        UsageError: The server cannot be reached, or there is no `given`; what was fetched is kept for the next time.
        DataError: The disk is full.
    """
    path = directory / wanted.url.rpartition("/")[2]
    part = path.with_name(path.name + ".part")
    with plain_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        if path.exists() and wanted.checksum is not None and _digest(path, wanted.checksum) == wanted.checksum:
            return path
        if given is None:
            _download(wanted.url, part, wanted.bytes or MAX_BYTES, progress)
        elif given.is_file():
            shutil.copyfile(given, part)
        else:
            raise UsageError(f"no file {given}")
        _check(wanted, part, given)
        _keep(part, path)
    return path


def _download(url: str, part: Path, limit: int, progress: Callable[[int, int], object]) -> None:
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    if request.type not in ("http", "https"):
        raise UsageError(f"{url} is no address of a web server")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            start = _start(answer, done)
            total = start + int(answer.headers.get("Content-Length") or 0)
            if total > limit:
                raise CheckpointError(f"{url} has {total:,} bytes, expected at most {limit:,}; not fetched")
            with part.open("r+b" if start else "wb") as file:
                file.seek(start)
                file.truncate()
                _receive(answer, file, start, total, limit, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416 and done:  # nothing beyond what is here: whole, or wrong, as the checksum will say
            return
        raise UsageError(
            f"{url} answers {error.code} ({error.reason}); fetch it by other means, give --file"
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise UsageError(
            f"{url} cannot be fetched ({reason}); run it again to go on, or fetch it by other means and give --file"
        ) from error


def _receive(answer: Any, file: Any, done: int, total: int, limit: int, progress: Callable[[int, int], object]) -> None:
    while piece := answer.read(_PART):
        done += len(piece)
        if done > limit:
            raise CheckpointError(f"{answer.url} sends more than the {limit:,} bytes expected; stopped")
        file.write(piece)
        progress(done, max(total, done))
    if done < total:
        raise ConnectionError(f"it ended after {done:,} of {total:,} bytes")


def _start(answer: Any, done: int) -> int:
    """Gives where the server's answer begins: at what was asked for, or at 0 where it knows no ranges."""
    if answer.status != 206:
        return 0
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if not found or int(found[1]) != done:
        raise CheckpointError(f"{answer.url} sends another part than it was asked for; delete the .part file")
    return done


def _check(wanted: Public, part: Path, given: Path | None) -> None:
    """Refuses, and removes, a file that is not the one that was published."""
    size = part.stat().st_size
    found = _digest(part, wanted.checksum) if wanted.checksum else None
    if (wanted.bytes is not None and size != wanted.bytes) or found != wanted.checksum:
        part.unlink()
        expected = wanted.checksum or f"{wanted.bytes:,} bytes"
        raise CheckpointError(
            f"{given or wanted.url} is not the published file: it has {size:,} bytes and {found}, expected {expected}"
        )


def _digest(path: Path, checksum: str) -> str:
    kind = checksum.partition(":")[0]
    with path.open("rb") as file:
        return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"


def _keep(part: Path, path: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)

"""The public weights of AlexNets: their addresses, what is known of them, and fetching them.

Nothing is fetched unless `get` is called.
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
"""No public AlexNet has a quarter of this; a server that sends more is cut off."""

_PART = 1 << 20
_TIMEOUT_S = 30


@dataclass(frozen=True)
class Public:
    """One published file; what no source states is None.

    Attributes:
        about: One line.
        url: Its address.
        licence: As its publisher states it.
        source: Where all of this is stated.
        bytes: Its size.
        checksum: `sha1:...` or `sha256:...`.
        top1_error, top5_error: On the ILSVRC-2012 validation set, fractions, as published; None for a mean image.
        protocol: How they were measured.
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


_BERKELEY = "http://dl.caffe.berkeleyvision.org"
_CAFFE_PROTOCOL = "centre crop of 227 from pictures warped to 256 x 256; mean image subtracted"

PUBLIC = {
    "caffe-alexnet": Public(
        about="Caffe's bvlc_alexnet, iteration 360,000",
        url=f"{_BERKELEY}/bvlc_alexnet.caffemodel",
        licence="unrestricted",
        source="BVLC/caffe models/bvlc_alexnet/readme.md",
        checksum="sha1:9116a64c0fbe4459d18f4bb6b56d647b63920377",
        top1_error=0.429,
        top5_error=0.198,
        protocol=_CAFFE_PROTOCOL,
    ),
    "caffenet": Public(
        about="Caffe's reference network, iteration 310,000",
        url=f"{_BERKELEY}/bvlc_reference_caffenet.caffemodel",
        licence="unrestricted",
        source="BVLC/caffe models/bvlc_reference_caffenet/readme.md",
        checksum="sha1:4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
        top1_error=0.426,
        top5_error=0.196,
        protocol=_CAFFE_PROTOCOL,
    ),
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
    """Looks a file up.

    Raises:
        UsageError: The table has no file of this name.
    """
    if name not in PUBLIC:
        raise UsageError(f"no public weights {name!r}; there are {', '.join(PUBLIC)}")
    return PUBLIC[name]


def folder() -> Path:
    """Returns the folder of fetched files, in $ALEXNET_CACHE or else in ~/.cache/alexnet."""
    return from_home(os.environ.get("ALEXNET_CACHE") or "~/.cache/alexnet") / "weights"


def get(
    public: Public,
    directory: Path,
    given: Path | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Path:
    """Fetches a file unless it is there already; an interrupted fetch goes on where it stopped.

    Args:
        public: The published file.
        directory: The folder to put it into.
        given: A copy fetched by other means, to be checked and taken over.
        progress: Called with the bytes done and the bytes in all (0 where the server does not state them).

    Returns:
        The file. It appears under its name only when it is whole and its checksum is right.

    Raises:
        CheckpointError: The checksum or the size is wrong, or the server sends something else.
        UsageError: The server cannot be reached, in which case what was fetched is kept for the next time; or `given`
            does not exist.
        DataError: The disk is full.
    """
    path = directory / public.url.rpartition("/")[2]
    part = path.with_name(path.name + ".part")
    with plain_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        if path.exists() and public.checksum is not None and _digest(path, public.checksum) == public.checksum:
            return path
        if given is None:
            _download(public.url, part, public.bytes or MAX_BYTES, progress)
        elif given.is_file():
            shutil.copyfile(given, part)
        else:
            raise UsageError(f"no file {given}")
        _check(public, part, given)
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


def _check(public: Public, part: Path, given: Path | None) -> None:
    """Refuses, and removes, a file that is not the published one."""
    size = part.stat().st_size
    digest = _digest(part, public.checksum) if public.checksum else None
    if (public.bytes is not None and size != public.bytes) or digest != public.checksum:
        part.unlink()
        expected = public.checksum or f"{public.bytes:,} bytes"
        raise CheckpointError(
            f"{given or public.url} is not the published file: it has {size:,} bytes and {digest}, expected {expected}"
        )


def _digest(path: Path, checksum: str) -> str:
    kind = checksum.partition(":")[0]
    with path.open("rb") as file:
        return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"


def _keep(part: Path, path: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)

"""The one door to all sources: a built-in name or a path, its kind recognised."""

import tarfile
from difflib import get_close_matches
from pathlib import Path

from alexnet.data import cifar, folders, ilsvrc, solar
from alexnet.data.listing import TAR_ERRORS, Listing, Source
from alexnet.data.manifest import is_store
from alexnet.errors import UsageError
from alexnet.files import from_home

__all__ = ["Listing", "Source", "open_source"]


def open_source(spec: str | Path, *, seed: int = 0) -> Source:
    """Opens the source that a name or a path stands for; reads names and labels, no pictures.

    Recognised are the name "solar-cells"; a folder of the ILSVRC-2012 archives; CIFAR-10 or CIFAR-100 as its
    python archive or unpacked; a class-per-folder tree as a folder or an uncompressed tar file.

    Args:
        spec: The built-in name or the path.
        seed: The seed of the held-out quarter, where the source has no split of its own.

    Raises:
        UsageError: There is no such source, or it is of no known kind.
        DataError: The source has no pictures, only one class or an empty class, or an archive is damaged.
    """
    if spec == solar.NAME:
        return solar.open_solar_cells(seed)
    path = from_home(spec)
    _refuse_missing(path)
    if is_store(path):
        raise UsageError(f"{path} is a packed store already, not a source: use it as it is")
    if (archives := ilsvrc.find(path)) is not None:
        return ilsvrc.open_archives(archives)
    if (batches := cifar.find(path)) is not None:
        return cifar.open_cifar(batches)
    if path.is_dir():
        return folders.open_folder(path, seed)
    if _is_tar(path):
        return folders.open_tar(path, seed)
    raise UsageError(f"{path} is no known source: give a folder, a .tar file or {solar.NAME!r}")


def _is_tar(path: Path) -> bool:
    """Tells a tar file, even a damaged one: another file never gets as far as these errors."""
    try:
        return tarfile.is_tarfile(path)
    except TAR_ERRORS:
        return True


def _refuse_missing(path: Path) -> None:
    if path.exists():
        return
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, [solar.NAME, *beside], 1)
    hint = f"did you mean {near[0]!r}?" if near else f"give a path or {solar.NAME!r}"
    raise UsageError(f"there is no source {str(path)!r}: {hint}")

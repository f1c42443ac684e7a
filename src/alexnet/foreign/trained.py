"""The one door to trained networks: what a user named becomes a network with its mean image and its header."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from safetensors import SafetensorError, safe_open

from alexnet.errors import UsageError
from alexnet.files import cache, from_home, sha256
from alexnet.foreign.convert import newest, translate
from alexnet.run import Run
from alexnet.weights import box, checkpoint, compressed, evidence
from alexnet.weights.checkpoint import Checkpoint
from alexnet.weights.public import PUBLIC

NETWORKS = tuple(name for name, row in PUBLIC.items() if row.top1_error is not None)
"""Names of the public weights."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network, what the user called it (of a path its last part), and the SHA-256 of its file."""

    weights: Checkpoint
    name: str
    sha256: str


def open_trained(place: str | Path, variant: str | None = None) -> TrainedNetwork:
    """Opens a trained network, whoever wrote it, without writing anything.

    Args:
        place: "tiny-imagenet", a run folder, a weight file, compressed or not, a folder as Hugging Face has it, a file
            of Caffe, torchvision or cuda-convnet, or the name of public weights that were fetched.
        variant: Row of `VARIANTS` for a file of another program that does not tell it.

    Raises:
        UsageError: There is no such network, or public weights have not been fetched.
        CheckpointError: The file is damaged, hostile, untrained or no AlexNet.
    """
    path, home = _file(place), from_home(place)
    weights = _read(path, variant)
    evidence.refuse_untrained(weights.model, path)
    is_path = home.exists() and str(place) not in box.NAMES
    return TrainedNetwork(weights, home.resolve().name if is_path else str(place), sha256(path))


def _file(place: str | Path) -> Path:
    if boxed := box.find(place):
        return boxed
    path = from_home(place)
    if path.is_dir():
        own = Run(path).weights
        return own if own.is_file() or Run(path).exists else newest(path)
    if path.exists():
        return path
    if str(place) in NETWORKS:
        fetched = cache() / "weights" / PUBLIC[str(place)].url.rpartition("/")[2]
        if fetched.is_file():
            return fetched
        raise UsageError(f"the public weights {place} are not here yet; fetch them with: alexnet weights get {place}")
    names = (*box.NAMES, *NETWORKS)
    near = get_close_matches(str(place), names, 1)
    hint = f"perhaps {near[0]!r}?" if near else f"give a run folder, a weight file, or one of {', '.join(names)}"
    raise UsageError(f"there is no trained network {str(place)!r}: {hint}")


def _read(path: Path, variant: str | None) -> Checkpoint:
    if path.is_file() and compressed.is_compressed(path):
        return compressed.load(path)
    return translate(path, variant=variant) if path.is_file() and not _is_own(path) else checkpoint.load(path)


def _is_own(path: Path) -> bool:
    """Returns whether a file is a weight file of this package, or a damaged file that ends like one."""
    try:
        with safe_open(path, "pt") as file:
            return "alexnet" in (file.metadata() or {})
    except (SafetensorError, ValueError, OSError):
        return False

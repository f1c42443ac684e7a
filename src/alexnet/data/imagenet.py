"""ImageNet's 1,000 classes in both orders, and the classes of a file that does not name its own."""

import json
import re
from collections import Counter
from functools import cache
from importlib.resources import files
from pathlib import Path

from alexnet.errors import UsageError

DEVKIT, WORDNET = "imagenet-devkit", "imagenet-wordnet"

_WORDNET_ID = re.compile(r"n\d{8}")
_LONGEST = 1 << 24  # bytes of a list of classes, at most


@cache
def _words() -> dict[str, str]:  # WordNet id -> words, in the order of the development kit
    text = files("alexnet.data").joinpath("imagenet.txt").read_text(encoding="utf-8")
    return dict(line.split("\t") for line in text.splitlines() if not line.startswith("#"))


def imagenet(order: str) -> tuple[str, ...]:
    """Returns the WordNet ids of the 1,000 classes of ILSVRC-2012 in one of two orders.

    `imagenet-devkit` is by the development kit's class numbers 1..1000, as cuda-convnet's outputs are;
    `imagenet-wordnet` is sorted by id, as Caffe's and torchvision's are.
    """
    return tuple(_words()) if order == DEVKIT else tuple(sorted(_words()))


def words(wordnet_id: str) -> str | None:
    """Returns the English words for a class of ILSVRC-2012, and None for anything else."""
    return _words().get(wordnet_id)


def read_classes(spec: str, count: int) -> tuple[str, ...]:
    """Returns the names of the `count` outputs of a network.

    The `spec` is `imagenet-devkit`, `imagenet-wordnet`, or a file: a JSON list, or text with one class a line. Where a
    line starts with a WordNet id (Caffe's `synset_words.txt`), the id is the name.

    Raises:
        UsageError: The file cannot be read, names a class twice, or names more or fewer than the network has.
    """
    names = imagenet(spec) if spec in (DEVKIT, WORDNET) else _from_file(Path(spec))
    if len(names) != count:
        raise UsageError(f"{spec} names {len(names):,} classes, the network has {count:,} outputs")
    if len(set(names)) < count:
        name = Counter(names).most_common(1)[0][0]
        places = [place for place, each in enumerate(names, start=1) if each == name]
        usual = f", or give `classes={WORDNET}`, if these are ImageNet's in the usual order" if count == 1000 else ""
        twice = f"{spec} names the class {name!r} twice (classes {places[0]:,} and {places[1]:,})"
        raise UsageError(f"{twice}; classes are told apart by their names: rename one{usual}")
    return names


def _from_file(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        raise UsageError(f"no classes {str(path)!r}; give {DEVKIT}, {WORDNET} or a file with a class a line")
    if path.stat().st_size > _LONGEST:
        raise UsageError(f"{path} is too large for a list of classes")
    try:
        text = path.read_text(encoding="utf-8")
        listed = json.loads(text) if text.lstrip().startswith("[") else text.split("\n")
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is neither text nor a JSON list: {error}") from error
    names = [str(line).strip() for line in listed]
    return tuple(name[:9] if _WORDNET_ID.match(name) else name for name in names if name)

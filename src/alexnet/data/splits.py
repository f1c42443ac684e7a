"""How people spell the names of splits."""

import re
from typing import Literal, NamedTuple


class Spelt(NamedTuple):
    """The split that a folder's name stands for.

    The spelling is "exact" where the name says nothing else, as in `Training` or `train_set`, and "affixed" where other
    words stand beside it, as in `seg_train` or `fruits-training`: such a folder may as well be a class.
    """

    split: str
    spelling: Literal["exact", "affixed"]


_WORDS = {
    "train": "train training trn trainset trainingset traindata",
    "val": "val valid validation validate valset validationset valdata dev devel development eval evaluation",
    "test": "test testing tst testset testingset testdata",
}
SPLITS = {word: split for split, words in _WORDS.items() for word in words.split()}
"""A word in lower case, and the split that it stands for."""

# What stands beside such a word without saying anything else: `train_set`, `images-train`, `val2017`, `train.X1`.
_FILLERS = frozenset({"set", "data", "dataset", "split", "images", "image", "imgs", "img", "pictures", "folder", "dir"})


def split_of(name: str) -> Spelt | None:
    """Returns the split that a folder's name stands for, None where it stands for none or for several."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)  # trainImages
    words = [word for word in re.split(r"[\W\d_]+", spaced.lower()) if word]
    splits = {SPLITS[word] for word in words if word in SPLITS}
    if len(splits) != 1:
        return None
    is_exact = all(word in SPLITS or word in _FILLERS or len(word) == 1 for word in words)
    return Spelt(splits.pop(), "exact" if is_exact else "affixed")

"""Classes as people read them: ImageNet's in words, and long names cut in the middle where there is little room."""

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches

from alexnet.data.imagenet import words


def in_words(name: str) -> str:
    """Returns a class with its words: "n02012849 crane"; a class that is none of ImageNet's as it is."""
    return f"{name} {words(name) or ''}".strip()


def unknown(name: str, classes: Sequence[str]) -> str:
    """Returns a sentence on a class that a network does not know: the nearest of its classes, or else the first ten."""
    whole = {part: label for label in classes for part in (label, *label.split(", "))}
    close = get_close_matches(name, whole, 3) or [part for part in whole if name.lower() in part.lower().split()][:3]
    some = " or ".join(dict.fromkeys(repr(whole[part]) for part in close))
    few = ", ".join(repr(label) if ", " in label else label for label in classes[:10]) + ", ..." * (len(classes) > 10)
    return f"the network does not know the class {name!r}; {f'perhaps {some}' if some else f'it knows {few}'}"


def labels(classes: Sequence[str]) -> dict[str, str]:
    """Returns for each class a label that no other of them has: "goldfish, Carassius auratus" for "n01443537".

    Where two have the same words, as ImageNet's two cranes have, the label is "n02012849 crane".
    """
    plain = {name: words(name) or name for name in classes}
    counts = Counter(plain.values())
    return {name: label if counts[label] == 1 else in_words(name) for name, label in plain.items()}


def short_labels(classes: Sequence[str], most: int) -> dict[str, str]:
    """Returns the labels of classes, those of more than `most` characters cut in the middle.

    Labels that would become the same keep more, and in the end all, of their characters.
    """
    whole = labels(classes)
    lengths = dict.fromkeys(whole, most)
    while True:
        short = {name: _cut(label, lengths[name]) for name, label in whole.items()}
        counts = Counter(short.values())
        alike = [name for name in whole if counts[short[name]] > 1 and lengths[name] < len(whole[name])]
        if not alike:
            return short
        lengths |= {name: 2 * lengths[name] for name in alike}


def _cut(text: str, most: int) -> str:
    tail = (most - 1) // 2
    return text if len(text) <= most else f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"

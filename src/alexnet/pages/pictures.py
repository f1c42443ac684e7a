"""Test pictures with the network's five best guesses, as the left of the paper's Fig. 4."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from alexnet.pages.markup import chance, escape, name, percent
from alexnet.pages.run import Record, number, records

PANEL = 8
GALLERY = 12
TOP = 5
MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}


@dataclass(frozen=True)
class Example:
    """A test picture and what the network says.

    Attributes:
        name: The file's name.
        label: The true class.
        top: (class, probability), falling, five at most and one at least.
        picture: A data URI, or None where there is no picture.
    """

    name: str
    label: str
    top: list[tuple[str, float]]
    picture: str | None


def read_examples(entries: Any) -> list[Example]:
    """The examples of a list of ``examples.json``; what does not have their shape is passed over."""
    found = [_example(entry) for entry in records(entries)]
    return [example for example in found if example.top]


def panel(examples: Record) -> str:
    """Eight test pictures with the true class above and bars below; "" without."""
    cards = [_card(example) for example in read_examples(examples.get("sample"))[:PANEL]]
    return f'<div class="cards">{"".join(cards)}</div>' if cards else ""


def mistakes(examples: Record) -> str:
    """The pictures on which the network was wrong and most sure of itself; "" without."""
    wrong = [e for e in read_examples(examples.get("mistakes")) if e.top[0][0] != e.label]
    wrong.sort(key=lambda example: -example.top[0][1])
    tiles = [_tile(example) for example in wrong[:GALLERY]]
    return f'<div class="gallery">{"".join(tiles)}</div>' if tiles else ""


def _example(entry: Record) -> Example:
    guesses = entry.get("top")
    pairs = [p for p in guesses if isinstance(p, list) and len(p) == 2] if isinstance(guesses, list) else []
    top = [(str(who), min(1.0, max(0.0, p))) for who, value in pairs if (p := number(value)) is not None]
    top.sort(key=lambda guess: -guess[1])
    return Example(str(entry.get("name", "")), str(entry.get("label", "")), top[:TOP], _picture(entry.get("jpeg")))


def _picture(text: Any) -> str | None:
    """The base64 text as a data URI, if a JPEG or PNG is in it."""
    try:
        data = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return None
    kind = next((kind for magic, kind in MAGIC.items() if data.startswith(magic)), None)
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}" if kind else None


def _image(example: Example) -> str:
    if example.picture is None:
        return f'<div class="no-picture" title="{escape(example.name)}">no picture</div>'
    title, alt = escape(example.name), escape(f"{example.name}, which is {example.label}")
    return f'<img src="{example.picture}" alt="{alt}" title="{title}" loading="lazy" width="256" height="256">'


def _card(example: Example) -> str:
    bars = "".join(_bar(who, p, who == example.label) for who, p in example.top)
    is_hit = example.top[0][0] == example.label
    has_label = any(who == example.label for who, _ in example.top)
    verdict = '<span class="hit">right</span>' if is_hit else '<span class="miss">wrong</span>'
    absent = "" if has_label else f'<p class="hint">{name(example.label)} is not among them.</p>'
    return (
        f'<article class="card"><h3>{name(example.label)}{verdict}</h3>{_image(example)}'
        f'<ol class="guesses">{bars}</ol>{absent}</article>'
    )


def _bar(who: str, probability: float, is_true: bool) -> str:
    kind = ' class="true"' if is_true else ""
    mark = '<b aria-hidden="true">✓</b><span class="hidden">true class: </span>' if is_true else ""
    return (
        f'<li{kind} title="{escape(who)}: {percent(probability, 2)}">'
        f'<i style="width:{probability * 100:.1f}%"></i>'
        f'<span class="who">{mark}{name(who)}</span><span class="value">{chance(probability)}</span></li>'
    )


def _tile(example: Example) -> str:
    who, probability = example.top[0]
    return (
        f'<figure class="tile">{_image(example)}<figcaption><span class="said">{name(who)} '
        f'<span class="value">{chance(probability)}</span></span><span class="truth">'
        f'<b aria-hidden="true">✓</b><span class="hidden">in truth </span>{name(example.label)}</span>'
        f"</figcaption></figure>"
    )

"""Text and numbers as people read them; the filters of the templates."""

import base64
import html
import re

from markupsafe import Markup

THIN = "\u202f"
UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}


def escape(value: object, limit: int = 200) -> Markup:
    """Returns a value as text that no browser can take for markup, in text or in a quoted attribute.

    Control and direction characters and half surrogates (of file names that are not UTF-8) become a replacement sign.

    Args:
        value: Anything; its `str` is shown. What is `Markup` already stays as it is.
        limit: Characters of the longest text shown; a longer one ends in an ellipsis.
    """
    if isinstance(value, Markup):
        return value
    text = str(value)
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return Markup(html.escape(UNSHOWN.sub("\ufffd", text), quote=True))


def name(value: object) -> Markup:
    """Returns a name, escaped and fenced, so that right-to-left letters turn nothing around them."""
    return Markup("<bdi>{}</bdi>").format(escape(value))


def data_uri(data: bytes) -> Markup | None:
    """Returns a picture as the value of `src`, or None if the data is neither JPEG nor PNG."""
    kind = next((kind for magic, kind in MAGIC.items() if data.startswith(magic)), None)
    return Markup(f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}") if kind else None


def pixels(value: float) -> str:
    """Returns a coordinate of a drawing: 12.34 as "12.3"."""
    return f"{value:.1f}"


def width(fraction: float) -> str:
    """Returns a fraction as a length for CSS: 0.1234 as "12.3%"."""
    return f"{fraction * 100:.1f}%"


def percent(fraction: float, digits: int = 1) -> str:
    """Returns a fraction as percent: 0.1234 as "12.3 %"."""
    return f"{fraction * 100:.{digits}f}{THIN}%"


def chance(probability: float) -> str:
    """Returns a probability in whole percent that never claims certainty by rounding: "<1 %", "58 %", ">99 %"."""
    if 0 < probability < 0.005 or 0.995 <= probability < 1:
        return f"<1{THIN}%" if probability < 0.5 else f">99{THIN}%"
    return percent(probability, 0)


def whole(value: float) -> str:
    """Returns a number without decimals: 1234567 as "1,234,567"."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}"


def compact(value: float) -> str:
    """Returns three digits of a number, 62378344 as "62.4 M"; numbers below ten thousand in full."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            scale = 1e3 if unit == "k" else size
            return f"{value / scale:.3g}{THIN}{unit}"
    return whole(value)


def duration(seconds: float) -> str:
    """Returns seconds as "8.2 s", "3 min 12 s" or "2 h 05 min"."""
    if seconds < 60:
        return f"{seconds:.1f}{THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{THIN}min {rest:02d}{THIN}s"
    return f"{minutes // 60}{THIN}h {minutes % 60:02d}{THIN}min"


def plural(n: float, noun: str, nouns: str | None = None) -> str:
    """Returns a number with its noun: "1 class", "2,000 classes"."""
    return f"{whole(n)} {noun if n == 1 else nouns or noun + 's'}"


def setting(value: object) -> str:
    """Returns a setting: "yes" for True, "none" for None, "10,000" for 10000, "a, b" for a list of names."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, list | tuple):
        return ", ".join(setting(entry) for entry in value[:40])
    if isinstance(value, int) and abs(value) >= 10_000:
        return whole(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)

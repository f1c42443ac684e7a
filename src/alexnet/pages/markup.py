"""Text and numbers as safe, readable HTML."""

import html
import re
from typing import Any

THIN = "\u202f"
UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def escape(value: Any, limit: int = 200) -> str:
    """The value as text that no browser can take for markup, in text or in a quoted attribute.

    Control and direction characters and half surrogates (file names that are no UTF-8) become a
    replacement sign.

    Args:
        value: Anything; its ``str`` is shown.
        limit: The longest text shown; more ends in an ellipsis.
    """
    text = str(value)
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return html.escape(UNSHOWN.sub("\ufffd", text), quote=True)


def name(value: Any) -> str:
    """A name as markup: escaped, and fenced so that right-to-left letters turn nothing around them."""
    return f"<bdi>{escape(value)}</bdi>"


def percent(fraction: float, digits: int = 1) -> str:
    """0.1234 as "12.3 %"."""
    return f"{fraction * 100:.{digits}f}{THIN}%"


def chance(probability: float) -> str:
    """A probability in whole percent that never claims certainty by rounding: "<1 %", "58 %", ">99 %"."""
    if 0 < probability < 0.005 or 0.995 <= probability < 1:
        return f"&lt;1{THIN}%" if probability < 0.5 else f"&gt;99{THIN}%"
    return percent(probability, 0)


def whole(value: float) -> str:
    """1234567 as "1,234,567"."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}"


def compact(value: float) -> str:
    """62378344 as "62.4 M", and numbers below ten thousand in full."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            scale = 1e3 if unit == "k" else size
            return f"{value / scale:.3g}{THIN}{unit}"
    return whole(value)


def duration(seconds: float) -> str:
    """Seconds as "8.2 s", "3 min 12 s" or "2 h 05 min"."""
    if seconds < 60:
        return f"{seconds:.1f}{THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{THIN}min {rest:02d}{THIN}s"
    return f"{minutes // 60}{THIN}h {minutes % 60:02d}{THIN}min"


def plural(n: float, noun: str, nouns: str | None = None) -> str:
    """1 as "1 class", 2000 as "2,000 classes"."""
    return f"{whole(n)} {noun if n == 1 else nouns or noun + 's'}"

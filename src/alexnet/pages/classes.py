"""Which classes go wrong, and what they are taken for."""

import math
from collections.abc import Sequence

from alexnet.evaluation.metrics import interval
from alexnet.pages.markup import escape, name, percent, plural, whole
from alexnet.pages.run import Record, number, records

Matrix = list[list[int]]

LARGEST = 40
ROOMY = 12
PAIRS = 20
WORST, BEST = 20, 5


def read_matrix(evaluation: Record) -> tuple[list[str], Matrix]:
    """The class names and the counts (row: truth, column: guess), or two empty lists if they do not fit."""
    names, rows = evaluation.get("classes"), evaluation.get("confusion")
    if not isinstance(names, list) or not isinstance(rows, list) or len(rows) != len(names) or not names:
        return [], []
    fits = all(isinstance(r, list) and len(r) == len(names) and all(map(_is_count, r)) for r in rows)
    return ([str(n) for n in names], [[int(v) for v in row] for row in rows]) if fits else ([], [])


def confusion(evaluation: Record) -> str:
    """The confusion matrix as a heat map, or the most confused pairs of more than 40 classes; "" without."""
    names, rows = read_matrix(evaluation)
    if not names:
        return ""
    return heat_map(names, rows) if len(names) <= LARGEST else confused_pairs(names, rows)


def heat_map(names: Sequence[str], rows: Matrix) -> str:
    """A table of counts; the depth of a cell is its share of its row, right and wrong in two colours."""
    is_roomy = len(names) <= ROOMY
    columns = "".join(f'<th scope="col"><span>{name(n)}</span></th>' for n in names)
    body = "".join(_heat_row(i, names, row, is_roomy) for i, row in enumerate(rows))
    size = "few" if len(names) <= 4 else "roomy" if is_roomy else "dense"
    return (
        f'<figure{_width(len(names))}><figcaption><h3>Confusion matrix</h3><p class="hint">'
        "Rows: what the picture is. Columns: what the network says. "
        f'Deeper colour: a larger share of the row.</p></figcaption><div class="scroll" '
        f'tabindex="0" role="region" aria-label="Confusion matrix"><table class="heat {size}"><thead><tr>'
        f"<td></td>{columns}</tr></thead><tbody>{body}</tbody></table></div></figure>"
    )


def confused_pairs(names: Sequence[str], rows: Matrix) -> str:
    """The most frequent mistakes, as bars."""
    wrong = [(n, i, j) for i, row in enumerate(rows) for j, n in enumerate(row) if i != j and n]
    pairs = sorted(wrong, key=lambda pair: -pair[0])[:PAIRS]
    most = pairs[0][0] if pairs else 1
    items = "".join(
        f'<li><span class="what">{name(names[i])} <span class="soft">taken for</span> {name(names[j])}</span>'
        f'<span class="track"><i class="fill warm" style="width:{n / most * 100:.1f}%"></i></span>'
        f'<span class="value">{whole(n)} <span class="soft">of {whole(sum(rows[i]))}</span></span></li>'
        for n, i, j in pairs
    )
    return (
        f'<figure{_width(len(names))}><figcaption><h3>Most confused pairs</h3><p class="hint">'
        f"The {len(pairs)} most frequent mistakes "
        f'among {len(names)} classes.</p></figcaption><ol class="rows pairs">{items}</ol></figure>'
    )


def class_errors(evaluation: Record) -> str:
    """The top-1 error of every class with its 95 % interval, hardest first; "" without."""
    entries = [(e, number(e.get("top1_error")), number(e.get("n"))) for e in records(evaluation.get("per_class"))]
    known = [(str(e.get("name", "?")), err, int(n)) for e, err, n in entries if err is not None and n and 0 <= err <= 1]
    if not known:
        return ""
    known.sort(key=lambda entry: (-entry[1], entry[0]))
    shown = known[:WORST] + known[-BEST:] if len(known) > LARGEST else known
    end = min(1.0, math.ceil(10 * max(interval(error, n)[1] for _, error, n in shown)) / 10)
    items = [_class_row(*entry, end) for entry in shown]
    if len(shown) < len(known):
        between = plural(len(known) - len(shown), "class", "classes")
        items.insert(WORST, f'<li class="soft">… {between} between …</li>')
    return (
        f'<figure{_width(len(known))}><figcaption><h3>Error by class</h3><p class="hint">'
        f"Top-1, hardest first; the thin line is the {percent(0.95, 0)} interval. "
        f"The bars end at {percent(end, 0)}.</p></figcaption>"
        f'<ol class="rows classes">{"".join(items)}</ol></figure>'
    )


def _width(classes: int) -> str:
    """Many classes take the whole width of the page."""
    return ' class="wide"' if classes > ROOMY else ""


def _heat_row(truth: int, names: Sequence[str], row: list[int], is_roomy: bool) -> str:
    total = sum(row) or 1
    cells = "".join(
        _cell(n / total, n, truth == j, f"{names[truth]} → {names[j]}", is_roomy) for j, n in enumerate(row)
    )
    return f'<tr><th scope="row">{name(names[truth])}</th>{cells}</tr>'


def _cell(share: float, n: int, is_right: bool, what: str, is_roomy: bool) -> str:
    kind = ("right" if is_right else "wrong") + " deep" * (share > 0.62)
    depth = round(0.06 + 0.94 * share**0.7, 3) if n else 0
    text = f"{n}" if n else '<span class="zero">·</span>'
    inside = text if is_roomy else f'<span class="hidden">{n}</span>'
    return f'<td class="{kind}" style="--a:{depth}" title="{escape(what)}: {n} ({percent(share)})">{inside}</td>'


def _class_row(label: str, error: float, n: int, end: float) -> str:
    low, high = (edge / end for edge in interval(error, n))
    return (
        f'<li><span class="what" title="{escape(label)}">{name(label)}</span><span class="track">'
        f'<i class="fill warm" style="width:{error / end * 100:.1f}%"></i>'
        f'<i class="whisker" style="left:{low * 100:.1f}%;width:{(high - low) * 100:.1f}%"></i></span>'
        f'<span class="value">{percent(error)} <span class="soft">of {whole(n)}</span></span></li>'
    )


def _is_count(value: object) -> bool:
    count = number(value)
    return count is not None and count >= 0

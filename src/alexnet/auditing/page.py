"""The page of an audit: pairs side by side, suspects, odd pictures, and what findings cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from alexnet.data.store import Store
from alexnet.pages.markup import THIN, percent, plural, whole
from alexnet.pages.page import Page, Section, draw
from alexnet.records import Audit, Member, Odd, Pair, Price

PAIRS, TILES, NAMED = 24, 48, 50
"""The most pairs, pictures and names of a section; the table of findings has all."""


@dataclass(frozen=True)
class _Shown:
    """A picture with what is said below it, in two lines."""

    picture: Member
    jpeg: bytes
    line: str
    truth: str


def audit_page(audit: Audit, store: Store) -> Page:
    """Returns the page of an audit of the pictures of a store."""
    return Page(
        title=f"{audit.source}: audit",
        eyebrow="AlexNet · what is wrong with these pictures",
        heading=audit.source,
        headline=Markup('<p class="none">{}</p>').format(_headline(audit, store)),
        facts={
            "Pictures": whole(audit.pictures),
            "Classes": whole(len(audit.counts)),
            "Leaks": whole(len(audit.leaks)),
            "Suspects": whole(len(audit.suspects)),
            "Odd or unreadable": whole(len(audit.odd) + len(audit.unreadable)),
            "Network": audit.network,
        },
        notices=(),
        sections=_sections(audit, store),
    )


def _headline(audit: Audit, store: Store) -> str:
    suspects = f"{plural(len(audit.suspects), 'label')} may be wrong."
    if leaks := len(audit.leaks):
        leaked = f"{plural(leaks, 'pair')} of the same picture in two splits: what is measured there is too good."
        return f"{leaked} {suspects}"
    return f"No picture of one split is in another. {suspects}" if len(store.splits) > 1 else suspects


def _sections(audit: Audit, store: Store) -> tuple[Section, ...]:
    suspects = [
        _shown(store, one.picture, f"{one.suggested} {percent(one.suggested_probability, 0)}", one.picture.class_name)
        for one in audit.suspects[:TILES]
    ]
    odd = [_shown(store, one.picture, in_words(one), one.picture.class_name) for one in audit.odd[:TILES]]
    return (
        Section("costs", "What it costs", "", _costs(audit.prices)),
        _pairs("leaks", "The same picture in two splits", audit.leaks, store),
        _pairs("contradictions", "The same picture under two labels", audit.two_labels, store),
        _pairs("copies", "The same picture twice", audit.repeated, store),
        Section(
            "suspects",
            "Labels that may be wrong",
            "What a head that never saw the picture takes it for, and its label below; the most suspicious first. Most "
            "heads err more often than people: look before you delete.",
            _tiles(suspects, len(audit.suspects)),
        ),
        Section("odd", "Pictures that may show nothing", "", _tiles(odd, len(audit.odd))),
        Section("unreadable", "Pictures that cannot be read", "", _unreadable(audit)),
        Section("classes", "Classes", "", _classes(audit)),
    )


def in_words(one: Odd) -> str:
    """Returns what is odd about a picture, with its figure and the threshold: "dark: 12 (threshold 50)"."""
    return f"{one.oddity}: {one.figure:.3g} (threshold {one.threshold:.3g})"


def price_in_words(price: Price) -> str:
    """Returns what findings cost: both errors and their difference with its interval."""
    return (
        f"Fitted without {plural(price.left_out, 'picture')} ({price.findings}), a head errs on "
        f"{percent(price.error_without)} of {whole(price.pictures)} others, with them on {percent(price.error_with)}: "
        f"without them {100 * abs(price.difference):.1f} points {'more' if price.difference > 0 else 'less'} "
        f"(95{THIN}% interval of the change, paired: {100 * price.low:+.1f} to {100 * price.high:+.1f})"
        f"{', which may be luck' if price.low <= 0 <= price.high else ''}."
    )


def _costs(prices: Sequence[Price]) -> Markup:
    return draw("prose.html", paragraphs=map(price_in_words, prices)) if prices else Markup()


def _shown(store: Store, picture: Member, line: str, truth: str) -> _Shown:
    return _Shown(picture, bytes(store.splits[picture.split].jpeg(picture.place)), line, truth)


def _pairs(key: str, title: str, pairs: Sequence[Pair], store: Store) -> Section:
    shown = [
        (pair, [_shown(store, one, one.split, one.class_name) for one in (pair.first, pair.second)])
        for pair in pairs[:PAIRS]
    ]
    body = draw("audit_pairs.html", pairs=shown, hidden=len(pairs) - len(shown)) if shown else Markup()
    return Section(key, title, "", body)


def _tiles(tiles: Sequence[_Shown], total: int) -> Markup:
    return draw("audit_tiles.html", tiles=tiles, hidden=total - len(tiles)) if tiles else Markup()


def _unreadable(audit: Audit) -> Markup:
    shown = audit.unreadable[:NAMED]
    return draw("quarantine.html", entries=shown, hidden=len(audit.unreadable) - len(shown)) if shown else Markup()


def _classes(audit: Audit) -> Markup:
    lines = [
        f"{one.first} and {one.second}: "
        + ("alike by name" if one.mixed_up is None else f"a head confuses {percent(one.mixed_up, 0)} of them")
        for one in audit.alike
    ]
    lines.append(f"The largest class has {audit.imbalance:.1f} times as many pictures as the smallest.")
    counts = sorted(audit.counts.items(), key=lambda item: -item[1])[:NAMED]
    rows = [(name, whole(count)) for name, count in counts]
    return draw("prose.html", paragraphs=lines) + draw("table.html", head=("class", "pictures"), rows=rows)

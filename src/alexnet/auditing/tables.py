"""An audit as tables: every finding, and the pictures to leave out of a training."""

import csv
import io
from collections.abc import Sequence

from alexnet.data.excluding import PATH
from alexnet.data.groups import GROUP
from alexnet.records import Audit, Excluded, Member, Pair

ORDER = ("train", "val", "test")
HEAD = ("finding", "split", "class", "path", "other_split", "other_class", "other_path", "about")


def training_copy(pair: Pair) -> Member:
    """Returns the picture of a leak that is to go: the one of train, or else the one of val."""
    return min(pair.first, pair.second, key=lambda member: ORDER.index(member.split))


def exclusions(audit: Audit) -> list[Excluded]:
    """Returns the pictures to leave out: the training copy of each leak, all but one of exact copies in a split."""
    rows = [(training_copy(pair), f"also in {_other(pair).split} as {_other(pair).name}") for pair in audit.leaks]
    inside: Sequence[Pair] = (*audit.two_labels, *audit.repeated)
    rows += [(pair.second, f"the same as {pair.first.name}") for pair in inside if pair.kind == "exact"]
    reasons: dict[str, str] = {}
    for member, reason in rows:
        reasons.setdefault(member.name, reason)
    return [Excluded(path=path, reason=reason) for path, reason in reasons.items()]


def _other(pair: Pair) -> Member:
    return pair.second if training_copy(pair) is pair.first else pair.first


def suspected(audit: Audit) -> list[Excluded]:
    """Returns the suspects, the first the most suspicious, as pictures to leave out."""
    return [
        Excluded(path=one.picture.name, reason=f"labelled {one.picture.class_name}, looks like {one.suggested}")
        for one in audit.suspects
    ]


def table(rows: Sequence[Excluded]) -> str:
    """Returns a table that `exclude` takes, as CSV."""
    return _csv([("path", "reason"), *((row.path, row.reason) for row in rows)])


def groups(audit: Audit) -> str:
    """Returns the groups of duplicates, which `split_by_duplicates` takes, as CSV."""
    rows = [
        (str(number), member.name, member.split, member.class_name)
        for number, group in enumerate(audit.duplicates.groups)
        for member in group
    ]
    return _csv([(GROUP, PATH, "split", "class"), *rows])


def findings(audit: Audit) -> str:
    """Returns a row for every finding, as CSV; pairs have two pictures."""
    rows: list[tuple[str, ...]] = [HEAD]
    for what, pairs in (("leak", audit.leaks), ("two labels", audit.two_labels), ("repeated", audit.repeated)):
        for pair in pairs:
            about = f"{pair.kind}, {pair.alignment}, agreement {pair.agreement:.3f}"
            rows.append((what, *_facts(pair.first), *_facts(pair.second), about))
    for one in audit.suspects:
        about = f"looks like {one.suggested}: {one.suggested_probability:.3f}, own {one.own_probability:.3f}"
        rows.append(("suspect", *_facts(one.picture), "", "", "", about))
    for each in audit.odd:
        about = f"{each.figure:.4g}, threshold {each.threshold:.4g}"
        rows.append((each.oddity, *_facts(each.picture), "", "", "", about))
    rows += [("unreadable", bad.split, bad.class_name, bad.name, "", "", "", bad.reason) for bad in audit.unreadable]
    return _csv(rows)


def _facts(member: Member) -> tuple[str, str, str]:
    return member.split, member.class_name, member.name


def _csv(rows: Sequence[tuple[str, ...]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()

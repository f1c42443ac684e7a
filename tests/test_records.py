import json
from typing import get_args

import msgspec
import pytest

from alexnet.errors import CheckpointError
from alexnet.records import Finite, Quarantined, read, to_json
from alexnet.records.sources import Cause, LeftOut, left_out_lines

BAD = {"split": "val", "class": "dog", "name": "val/dog/1.jpg", "reason": "the file is empty"}


class Shelf(msgspec.Struct, frozen=True):
    width: Finite
    bad: list[Quarantined] = []


def read_shelf(data):
    return read(Shelf, data, "run/shelf.json", CheckpointError, "copy it again")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", r"Expecting value: line 1 column 1 \(char 0\)"),
        (b"\xff", r"'utf-8' codec can't decode byte 0xff .*"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "Object missing required field `width`"),
        (b'{"width": "1"}', r"Expected `float`, got `str` - at `\$.width`"),
        (b'{"width": true}', r"Expected `float`, got `bool` - at `\$.width`"),
        (b'{"width": NaN}', r"Expected `float` >= .* - at `\$.width`"),
        (b'{"width": -Infinity}', r"Expected `float` >= .* - at `\$.width`"),
        (b'{"width": 1, "bad": [{}]}', r"Object missing required field `split` - at `\$.bad\[0\]`"),
        (b'{"width": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"width": ' + b"9" * 10_000 + b"}", "Exceeds the limit .*"),
    ],
)
def test_a_damaged_record_is_named_in_one_line_with_the_place_and_the_remedy(data, why):
    with pytest.raises(CheckpointError, match=rf"^run/shelf\.json is incomplete or damaged \({why}\): copy it again$"):
        read_shelf(data)


def test_keys_of_other_versions_are_ignored():
    assert read_shelf(b'{"width": 2, "height": 3}') == Shelf(2.0)


@pytest.mark.parametrize("name", ["caf\u00e9", "a\nb", "\udcff"])
def test_a_record_comes_back_from_its_json_whatever_its_names(name):
    shelf = Shelf(0.5, [Quarantined(split="val", class_name="dog", name=name, reason="none", was_unread=True)])
    assert read_shelf(to_json(shelf)) == shelf
    assert to_json(shelf).isascii()


def test_json_is_written_as_it_always_was():
    bad = Quarantined(split="val", class_name="dog", name="\u00e9", reason="none", was_unread=False)
    facts = {"split": "val", "class": "dog", "name": "\u00e9", "reason": "none", "was_unread": False}
    assert to_json(bad) == json.dumps(facts, indent=1)


@pytest.mark.parametrize(
    ("reason", "was_unread"), [("cannot be read: Permission denied", True), ("the file is empty", False)]
)
def test_only_what_version_0_1_wrote_is_judged_by_its_wording(reason, was_unread):
    data = json.dumps({"width": 1, "bad": [BAD | {"reason": reason}]}).encode()
    assert read_shelf(data).bad[0].was_unread is was_unread
    data = json.dumps({"width": 1, "bad": [BAD | {"reason": reason, "was_unread": not was_unread}]}).encode()
    assert read_shelf(data).bad[0].was_unread is not was_unread


def test_every_cause_of_leaving_out_can_be_counted_in_words():
    entries = [LeftOut(path="x", cause=cause, reason="for a test") for cause in get_args(Cause)]
    (line,) = left_out_lines(entries, most=0)
    assert line.count(",") + 1 >= len(entries)

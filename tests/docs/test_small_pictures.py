"""The table of docs/how-to/small-pictures.md is what the program does."""

import re
from pathlib import Path

from alexnet.models.variants import input_for_pictures, stored_size

PAGE = Path(__file__).parents[2] / "docs/how-to/small-pictures.md"


def test_the_table_of_sizes_is_what_is_proposed():
    rows = re.findall(r"^\| ([^|]*) \| (\d+) \| (\d+) \| (\d+) % \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 6
    smallest = 32
    for sides, stored, seen, share in rows:
        largest = int(numbers[-1]) if (numbers := re.findall(r"\d+", sides)) else 500
        for side in (smallest, largest):
            size = input_for_pictures("alexnet", side)
            assert (size, stored_size("alexnet", size), round(100 * size**2 / 227**2)) == (
                int(seen),
                int(stored),
                int(share),
            )
        smallest = largest + 1

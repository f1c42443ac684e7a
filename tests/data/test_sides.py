"""How large the pictures of a source are."""

from types import SimpleNamespace

import pytest
from pictures import encoded, photograph

from alexnet.data.sides import typical_side


class Pictures:
    def __init__(self, sizes):
        self.files = [encoded(photograph(*size)) if size else b"no picture" for size in sizes]

    def __len__(self):
        return len(self.files)

    def read(self, i):
        return self.files[i]


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(30, 90), (90, 10), (20, 20)], 20),  # the median of the shorter sides
        ([(30, 40), (10, 40)], 10),  # the lower of two
        ([None, (64, 64), None], 64),
        ([None], None),
        ([(8, 8)] * 60 + [(99, 99)] * 40, 8),
        ([(8, 8)] * 40 + [(99, 99)] * 60, 99),
    ],
)
def test_the_typical_side_is_the_median_of_pictures_that_can_be_read(sizes, side):
    assert typical_side(SimpleNamespace(splits={"train": Pictures(sizes)})) == side

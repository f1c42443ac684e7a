"""What the environment says of a team, where it was set by hand."""

import pytest

from alexnet.errors import UsageError
from alexnet.meeting import assemble


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORLD_SIZE", ""),
        ("WORLD_SIZE", "abc"),
        ("WORLD_SIZE", "0"),
        ("WORLD_SIZE", "9" * 5000),
        ("RANK", "one"),
        ("RANK", "-1"),
        ("LOCAL_WORLD_SIZE", "2.5"),
        ("LOCAL_WORLD_SIZE", "0"),
    ],
)
def test_a_number_that_torchrun_did_not_set_is_refused_in_one_line(name, value, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=f"^{name} is '.*' in the environment: unset it, or start with torchrun"):
        assemble(None, 1).__enter__()

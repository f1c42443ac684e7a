"""What a service takes at most, and how it refuses the rest."""

from dataclasses import dataclass

from alexnet.errors import UsageError

BODY_SECONDS = 30.0
"""Within which a request's body has to come."""

MEMORY = 16
"""Bodies of the largest allowed size that may be held at a time; smaller ones until they sum up to as much."""


@dataclass(frozen=True)
class Limits:
    """What a service takes at most."""

    waiting: int = 128  # pictures that are read or wait at a time
    bytes: int = 20_000_000  # of a request's body
    pixels: int = 64_000_000  # of a picture
    files: int = 32  # pictures of a request
    deadline: float = 30.0  # seconds for which a picture may wait; what runs is finished
    header: float = 10.0  # seconds within which a request's headers have to come
    drain: float = 5.0  # seconds after SIGTERM for which requests are still answered

    def __post_init__(self) -> None:
        if min(self.waiting, self.bytes, self.pixels, self.files, self.deadline) <= 0 or self.drain < 0:
            raise UsageError("the limits `waiting`, `deadline`, `max_bytes`, `max_pixels` and `max_files` are above 0")


class Refusal(Exception):
    """A request that is refused: the code of HTTP, and one plain sentence."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence

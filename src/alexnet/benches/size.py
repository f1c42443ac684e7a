"""How much a bench measures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """The sizes of everything; the defaults are the lecture's, and what two cores do in twelve minutes."""

    rounds: int = 3  # turns of each contestant, at most
    patience: float = 45.0  # seconds after which a contest begins no further round
    seconds: float = 2.0  # that each figure is measured for in a round, at least
    map: tuple[int, int, int, int] = (128, 96, 55, 55)  # (N, C, H, W) that is normalised; conv1's output
    matrices: tuple[int, ...] = (2048, 4096)  # sides of the matrices that are multiplied; the best rate counts
    block: int = 256 << 20  # bytes of the memory that is copied and read
    input_size: int | None = None  # side of the network's input; None takes each network's own
    batch: int = 128  # images a training step
    predict_batch: int = 32  # images of a large prediction
    warm_up: int = 3  # training steps after the first that do not count; kept memory is touched for the first time
    steps: int = 4  # training steps that the data path is measured over, at least
    pictures: int = 400  # in the folder that loaders read
    stores: tuple[int, int] = (1_000, 1_000_000)  # two counts of stored pictures that should be equally fast

"""How much a bench measures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """The sizes of everything; the defaults are the lecture's, and what two cores do in twelve minutes.

    Attributes:
        rounds: Turns of each contestant, at most.
        patience: Seconds after which a contest begins no further round.
        seconds: That each figure is measured for in a round, at least.
        map: (N, C, H, W) that normalisation is measured on; conv1's output.
        matrices: Sides of the matrices that the multiply rate is measured with; the best counts.
        block: Bytes of the memory that copying and reading are measured with.
        input_size: Side of the network's input; None takes each network's own.
        batch: Images a training step.
        predict_batch: Images of a large prediction.
        warm_up: Training steps after the first that do not count; memory that is kept is touched for the first time.
        steps: Training steps that the data path is measured over, at least.
        pictures: In the folder that loaders read.
        stores: Two counts of stored pictures that should be equally fast.
    """

    rounds: int = 3
    patience: float = 45.0
    seconds: float = 2.0
    map: tuple[int, int, int, int] = (128, 96, 55, 55)
    matrices: tuple[int, ...] = (2048, 4096)
    block: int = 256 << 20
    input_size: int | None = None
    batch: int = 128
    predict_batch: int = 32
    warm_up: int = 3
    steps: int = 4
    pictures: int = 400
    stores: tuple[int, int] = (1_000, 1_000_000)

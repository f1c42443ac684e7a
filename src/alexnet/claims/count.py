"""The claim that needs no training: parameters and multiply-adds."""

from dataclasses import dataclass
from typing import ClassVar

from msgspec import field

from alexnet.claims.experiment import Cost, Outcome
from alexnet.claims.statistics import CONFIRMED, OPPOSITE
from alexnet.records import Record

LECTURE = (
    ("parameters", 62.3e6, 1e5),
    ("multiply-adds", 1.1e9, 1e8),
    ("parameters in convolutions", 0.06, 0.01),
    ("their multiply-adds", 0.95, 0.01),
)
"""The lecture's figures, each with a unit of its last digit, to which ours must agree."""


class LayerRow(Record, frozen=True):
    """A layer with its parameters and multiply-adds."""

    name: str
    parameters: int
    macs: int = field(name="multiply-adds")


class Figure(Record, frozen=True):
    """A figure of the lecture beside ours; fractions and numbers alike."""

    name: str
    claimed: float
    counted: int | float = field(name="found")
    agrees: bool


class Counted(Outcome, frozen=True, kw_only=True):
    """The outcome of a count: a row for each layer that has parameters, and the figures."""

    rows: tuple[LayerRow, ...]
    figures: tuple[Figure, ...]

    def table(self) -> list[str]:
        """Returns a line for each layer."""
        return [f"{row.name:<8}{row.parameters:>14,}{row.macs:>16,}" for row in self.rows]


@dataclass(frozen=True)
class Count:
    """Counts the lecture's network."""

    kind: ClassVar[str] = "count"

    def count(self) -> Counted:
        """Counts, and compares with the lecture."""
        from alexnet.models.create import create
        from alexnet.models.summary import summary  # torch, which a list of the claims does not wait for

        network = summary(create("alexnet", initialisation="none"))
        convolutions = [layer for layer in network.layers if layer.name.startswith("conv")]
        part = sum(layer.parameters for layer in convolutions) / network.parameters
        part_of_macs = sum(layer.macs for layer in convolutions) / network.macs
        ours = (network.parameters, network.macs, part, part_of_macs)
        figures = tuple(
            Figure(name, claimed, counted, abs(counted - claimed) < unit)
            for (name, claimed, unit), counted in zip(LECTURE, ours, strict=True)
        )
        answer = (
            f"{network.parameters:,} parameters and {network.macs:,} multiply-adds; the convolutions have {part:.1%} "
            f"of the parameters and {part_of_macs:.1%} of the multiply-adds."
        )
        return Counted(
            verdict=CONFIRMED if all(figure.agrees for figure in figures) else OPPOSITE,
            answer=(answer,),
            cost=Cost(),
            rows=tuple(LayerRow(row.name, row.parameters, row.macs) for row in network.layers if row.parameters),
            figures=figures,
        )

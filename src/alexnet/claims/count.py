"""The claim that needs no training: parameters and multiply-adds."""

from dataclasses import dataclass
from typing import ClassVar

from msgspec import field

from alexnet.claims.experiment import Cost, Outcome
from alexnet.claims.statistics import CONFIRMED, OPPOSITE
from alexnet.records import Record

LECTURE = {
    "parameters": (62.3e6, 1e5),
    "multiply-adds": (1.1e9, 1e8),
    "parameters in convolutions": (0.06, 0.01),
    "their multiply-adds": (0.95, 0.01),
}
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
    found: int | float
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
        from alexnet.models.summary import summarise  # torch, which a list of the claims does not wait for

        layers = summarise(create("alexnet", initialisation="none"))
        convolutions = [layer for layer in layers if layer.name.startswith("conv")]
        parameters, macs = sum(layer.parameters for layer in layers), sum(layer.macs for layer in layers)
        part = sum(layer.parameters for layer in convolutions) / parameters
        part_of_macs = sum(layer.macs for layer in convolutions) / macs
        figures = tuple(
            Figure(name, claimed, ours, abs(ours - claimed) < unit)
            for (name, (claimed, unit)), ours in zip(
                LECTURE.items(), (parameters, macs, part, part_of_macs), strict=True
            )
        )
        return Counted(
            verdict=CONFIRMED if all(figure.agrees for figure in figures) else OPPOSITE,
            answer=(
                f"{parameters:,} parameters and {macs:,} multiply-adds; the convolutions have {part:.1%} of the "
                f"parameters and {part_of_macs:.1%} of the multiply-adds.",
            ),
            cost=Cost(),
            rows=tuple(LayerRow(layer.name, layer.parameters, layer.macs) for layer in layers if layer.parameters),
            figures=figures,
        )

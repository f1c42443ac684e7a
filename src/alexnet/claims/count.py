"""The claim that needs no training: parameters and multiply-adds."""

from typing import Any

from alexnet.claims.statistics import CONFIRMED, OPPOSITE
from alexnet.models.create import create
from alexnet.models.summary import summarise

CLAIMED = {
    "parameters": 62.3e6,
    "multiply-adds": 1.1e9,
    "parameters in convolutions": 0.06,
    "their multiply-adds": 0.95,
}
"""The lecture's figures; ours must agree to their last digit."""

LAST_DIGIT = {"parameters": 1e5, "multiply-adds": 1e8, "parameters in convolutions": 0.01, "their multiply-adds": 0.01}


def measure() -> dict[str, Any]:
    """Counts, and compares with the lecture: the keys of `answer.measure`, without differences."""
    layers = summarise(create("alexnet", initialisation="none"))
    convolutions = [row for row in layers if row.name.startswith("conv")]
    parameters, macs = sum(row.parameters for row in layers), sum(row.macs for row in layers)
    found = {
        "parameters": parameters,
        "multiply-adds": macs,
        "parameters in convolutions": sum(row.parameters for row in convolutions) / parameters,
        "their multiply-adds": sum(row.macs for row in convolutions) / macs,
    }
    agrees = {name: abs(found[name] - claimed) < LAST_DIGIT[name] for name, claimed in CLAIMED.items()}
    weighty = [row for row in layers if row.parameters]
    return {
        "rows": [{"name": r.name, "parameters": r.parameters, "multiply-adds": r.macs} for r in weighty],
        "figures": [
            {"name": name, "claimed": claimed, "found": found[name], "agrees": agrees[name]}
            for name, claimed in CLAIMED.items()
        ],
        "verdict": CONFIRMED if all(agrees.values()) else OPPOSITE,
        "answer": [
            f"{parameters:,} parameters and {macs:,} multiply-adds; the convolutions have "
            f"{found['parameters in convolutions']:.1%} of the parameters and {found['their multiply-adds']:.1%} of "
            "the multiply-adds."
        ],
    }

"""The process of one contestant: `python -m alexnet.benches.contestant TURN`, which prints one JSON object."""

import json
import sys
from importlib import import_module
from typing import Any

import torch

from alexnet import machine
from alexnet.benches.size import Size


def play(function: str, arguments: dict[str, Any], size: dict[str, Any]) -> dict[str, float]:
    """Calls a function of `alexnet`, named `module.function`, with the sizes and its arguments."""
    module, _, name = function.rpartition(".")
    called = getattr(import_module(f"alexnet.{module}"), name)
    measured: dict[str, float] = called(Size(**size), **arguments)
    return measured


def main(turn: str) -> None:
    """Plays one turn, in this process."""
    asked = json.loads(turn)
    if asked["keeps_memory"]:
        machine.keep_memory()
    if asked["threads"]:
        torch.set_num_threads(asked["threads"])
    print("\n" + json.dumps(play(asked["function"], asked["arguments"], asked["size"])))


if __name__ == "__main__":
    main(sys.argv[1])

"""Scripts by which bash, zsh and fish complete the command's words, derived from its parser.

A script is static: it holds the words as they are when it is written, and starts nothing when a key is pressed.
"""

import argparse
from collections.abc import Iterable

import shtab

from alexnet import config
from alexnet.claims.table import CLAIMS
from alexnet.models.variants import CIFAR, VARIANTS
from alexnet.recipes import RECIPES
from alexnet.weights.public import PUBLIC

PLACES = {"RUN", "SOURCE", "FILE", "DIR", "IMAGE|FOLDER", "STORE", "INDEX", "OUT", "W"}
"""What the commands call values that are paths."""

WORDS: dict[str, Iterable[str]] = {
    "RECIPE": RECIPES,
    "V": [*VARIANTS, *CIFAR],
    "CLAIM": CLAIMS,
    "WEIGHTS": PUBLIC,
    "NAME=VALUE": [f"{name}=" for name in config.FIELDS],
}
"""What they call words of a list, and the lists."""


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Returns a script for bash, zsh or fish; the parser is changed, so it has to be one made for this."""
    for action in _actions(parser):
        if action.metavar in WORDS:
            action.choices = list(WORDS[str(action.metavar)])
        elif action.metavar in PLACES:
            setattr(action, "complete", shtab.FILE)  # noqa: B010  # shtab's own attribute
    return str(shtab.complete(parser, shell))


def _actions(parser: argparse.ArgumentParser) -> Iterable[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action

"""The shell's arguments, derived from the commands' signatures and docstrings."""

import argparse
import difflib
import inspect
import os
import re
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin

from alexnet import __version__, config
from alexnet.commands import COMMANDS
from alexnet.commands.arguments import about

EXAMPLES = r"""
examples:
  alexnet train demo --data solar-cells --out runs/demo
  alexnet train modern --data ~/pictures --out runs/mine
  alexnet evaluate runs/mine --data ~/pictures --views 10
  alexnet predict runs/mine holiday.jpg
  alexnet summary --variant alexnet-two-tower
  alexnet convert bvlc_alexnet.caffemodel runs/caffe --mean ilsvrc_2012_mean.npy

  torchrun --nproc-per-node 2 -m alexnet train paper --variant alexnet-two-tower \
      --data ~/pictures --out runs/two --parallel towers
"""

Option = dict[str, Any]
"""Keyword arguments of `ArgumentParser.add_argument`, which has no type of its own for them."""


class Parser(argparse.ArgumentParser):
    """Answers a wrong word in one line, with the nearest right one."""

    def error(self, message: str) -> NoReturn:
        """Prints the message, of several processes only the first, and exits with 2."""
        is_first = os.environ.get("RANK", "0") == "0"
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n" if is_first else None)

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, _unknown(value, action.choices))


def parser() -> argparse.ArgumentParser:
    """Describes every command."""
    root = Parser(
        prog="alexnet",
        description="AlexNet as published: trained, tested, explained, and fast.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"alexnet {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, function in COMMANDS.items():
        text = inspect.cleandoc(function.__doc__ or "").partition("\nArgs:\n")[0]
        text = in_flags(text, function).replace("`", "").strip()
        first = text.split("\n\n")[0].rstrip(".")
        command = commands.add_parser(name, help=first, description=text, allow_abbrev=False)
        command.add_argument("--json", action="store_true", help="print one JSON object instead of text")
        _add_arguments(command, function)
    return root


def options(function: Callable[..., object]) -> dict[str, inspect.Parameter]:
    """Returns the parameters of a command that a shell can give, by name; `settings` stands for all others."""
    return {name: p for name, p in inspect.signature(function).parameters.items() if name != "observer"}


def in_flags(message: str, command: Callable[..., object]) -> str:
    """Returns a message in the words of a shell: `data` as --data, `batch_size=32` as --set batch_size=32."""
    known = options(command)

    def flag(match: re.Match[str]) -> str:
        name, value = match[1], match[2] or ""
        if name in known and known[name].kind is known[name].KEYWORD_ONLY:
            return f"--{name.replace('_', '-')}{value.replace('=', ' ', 1)}"
        return f"--set {name}{value}" if "settings" in known and name in config.FIELDS else match[0]

    return re.sub(r"`(\w+)(=[^`]*)?`", flag, message)


def _add_arguments(command: argparse.ArgumentParser, function: Callable[..., object]) -> None:
    for name, parameter in options(function).items():
        annotation = function.__annotations__[name]
        text = in_flags(about(annotation).text, function).replace("`", "").replace("%", "%%")
        if parameter.kind is parameter.VAR_KEYWORD:
            repeated: Option = {"action": "append", "default": [], "metavar": "NAME=VALUE"}
            command.add_argument("--set", dest=name, help=text, **repeated)
            continue
        option = _option(annotation)
        has_default = parameter.default is not parameter.empty
        if parameter.kind is parameter.KEYWORD_ONLY:
            if has_default and parameter.default not in (None, False):
                shown = parameter.default
                text += f" ({','.join(shown) if isinstance(shown, tuple) else shown})"
            flag = f"--{name.replace('_', '-')}"
            command.add_argument(
                flag, dest=name, default=parameter.default, required=not has_default, help=text, **option
            )
        else:
            optional: Option = {"nargs": "?", "default": parameter.default} if has_default else {}
            command.add_argument(name, help=text, **{"metavar": name.upper(), **option, **optional})


def _option(annotation: Any) -> Option:
    """Returns what an annotation says of an argument: its type, its choices, what the help calls it."""
    if get_origin(annotation) is Annotated:
        base, said = get_args(annotation)
        return _option(base) | ({"metavar": said.metavar} if said.metavar else {})
    if get_origin(annotation) in (Union, UnionType):
        return _option(next(kind for kind in get_args(annotation) if kind is not type(None)))
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        return {"choices": choices, "type": type(choices[0]), "metavar": "|".join(map(str, choices))}
    if get_origin(annotation) is Sequence:
        each = _option(get_args(annotation)[0])
        return {"type": _list_of(each["choices"])} if "choices" in each else each | {"nargs": "+"}
    if annotation is bool:
        return {"action": "store_true"}
    return {"type": annotation if annotation in (int, float) else str}


def _list_of(choices: Sequence[str]) -> Callable[[str], list[str]]:
    def split(text: str) -> list[str]:
        words = text.split(",")
        for word in words:
            if word not in choices:
                raise argparse.ArgumentTypeError(_unknown(word, choices))
        return words

    return split


def _unknown(value: object, choices: Any) -> str:
    words = [str(choice) for choice in choices]
    close = difflib.get_close_matches(str(value), words, 1)
    hint = f"perhaps {close[0]!r}" if close else f"there are {', '.join(words)}"
    return f"no {value!r} here; {hint}"

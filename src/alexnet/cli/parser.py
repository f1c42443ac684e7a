"""The shell's arguments, derived from the commands' signatures and docstrings."""

import argparse
import difflib
import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

from alexnet import config
from alexnet.commands import COMMANDS
from alexnet.commands.arguments import explained

EXAMPLES = r"""
examples:
  alexnet predict tiny-imagenet holiday.jpg
  alexnet train demo --data solar-cells --out runs/demo
  alexnet train modern --data ~/pictures --out runs/mine
  alexnet evaluate runs/mine --data ~/pictures --views 10
  alexnet predict runs/mine holiday.jpg
  alexnet summary --variant alexnet-two-tower
  alexnet convert bvlc_alexnet.caffemodel runs/caffe --mean ilsvrc_2012_mean.npy

  torchrun --nproc-per-node 2 -m alexnet train paper --variant alexnet-two-tower \
      --data ~/pictures --out runs/two --parallel towers
"""

COMPLETION = "print the script by which a shell completes the words of this command"

Option = dict[str, Any]
"""Keyword arguments of `ArgumentParser.add_argument`, which has no type of its own for them."""


class Parser(argparse.ArgumentParser):
    """Answers a wrong word in one line, with the nearest right one."""

    def error(self, message: str) -> NoReturn:
        """Prints the message, of several processes only the first, and exits with 2."""
        is_first, words = os.environ.get("RANK", "0") == "0", self._in_order()
        if re.search(r"expected (at least )?one argument|unrecognized arguments: -[^-]", message):
            message += " (a path that begins with a dash is written ./-...)"
        order = f"it takes {' '.join(words)}; " if len(words) > 1 else ""
        self.exit(2, f"{self.prog}: {message}; {order}see {self.prog} --help\n" if is_first else None)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Prints help or an error; unlike argparse's own it does not hide that a disk is full."""
        print(message, end="", file=file or sys.stderr, flush=True)

    def _in_order(self) -> list[str]:
        """Returns the names of what has no flag; who forgets the first is told that the last is missing."""
        named = [action for action in self._actions if not action.option_strings]
        return [str(action.metavar or action.dest) for action in named]

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, _unknown(value, action.choices))


class Gathered(argparse.Action):
    """Gathers the values of an argument that may be given several times."""

    def __call__(self, parser: object, namespace: argparse.Namespace, values: object, option: object = None) -> None:
        """Adds a value to those before."""
        setattr(namespace, self.dest, (*getattr(namespace, self.dest), values))


class Version(argparse._VersionAction):
    """Looks the version up only when it is asked for, which takes as long as all the rest of `--help`."""

    def __call__(self, *arguments: Any) -> NoReturn:
        """Prints the version, and exits."""
        from alexnet import __version__

        print(f"alexnet {__version__}", flush=True)
        raise SystemExit(0)


class PrintCompletion(argparse.Action):
    """Prints the script by which a shell completes the command's words."""

    def __call__(self, _: object, namespace: object, values: object, option: object = None) -> NoReturn:
        """Prints the script, and exits."""
        from alexnet.cli.completion import script

        print(script(parser(), str(values)), flush=True)
        raise SystemExit(0)


def parser() -> argparse.ArgumentParser:
    """Describes every command."""
    root = Parser(
        prog="alexnet",
        description="AlexNet as published: trained, tested, explained, and fast.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action=Version)
    root.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=("bash", "zsh", "fish"),
        metavar="bash|zsh|fish",
        help=COMPLETION,
        default=argparse.SUPPRESS,
    )
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
    parameters = options(command)

    def flag(match: re.Match[str]) -> str:
        name, value = match[1], match[2] or ""
        if name in parameters and parameters[name].kind is inspect.Parameter.KEYWORD_ONLY:
            return f"{_flag(name)}{value.replace('=', ' ', 1)}"
        return f"--set {name}{value}" if "settings" in parameters and name in config.FIELDS else match[0]

    return re.sub(r"`(\w+)(=[^`]*)?`", flag, message)


def _flag(name: str) -> str:
    """Returns the option of an argument, whose name ends in `_` where Python's own word would be in its way."""
    return f"--{name.rstrip('_').replace('_', '-')}"


def _add_arguments(command: argparse.ArgumentParser, function: Callable[..., object]) -> None:
    for name, parameter in options(function).items():
        kind, about = explained(function.__annotations__[name])
        option: Option = {"help": in_flags(about.text, function).replace("`", "").replace("%", "%%")}
        if parameter.kind is parameter.VAR_KEYWORD:
            command.add_argument("--set", dest=name, action="append", default=[], metavar=about.metavar, **option)
            continue
        is_needed = parameter.default is parameter.empty
        default = None if is_needed else parameter.default
        option |= {"default": default, **_option(kind), **({"metavar": about.metavar} if about.metavar else {})}
        if parameter.kind is parameter.KEYWORD_ONLY:
            if option.get("nargs") == "+":  # given once for each value
                del option["nargs"]
                option["action"] = Gathered
            if default not in (None, False, ()):
                option["help"] += f" ({','.join(default) if isinstance(default, tuple) else default})"
            command.add_argument(_flag(name), dest=name, required=is_needed, **option)
        else:
            count = "*" if option.get("nargs") == "+" else "?"
            command.add_argument(name, **option if is_needed else option | {"nargs": count})


def _option(kind: Any) -> Option:
    """Returns how `argparse` reads a value of a type."""
    if get_origin(kind) in (Union, UnionType):
        return _option(get_args(kind)[0])
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        return {"choices": choices, "type": type(choices[0]), "metavar": "|".join(map(str, choices))}
    if get_origin(kind) is Sequence:
        each = _option(get_args(kind)[0])
        return {"type": _list_of(each["choices"])} if "choices" in each else each | {"nargs": "+"}
    return {"action": "store_true"} if kind is bool else {"type": kind if kind in (int, float) else str}


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

"""Writes the pages of the reference that follow from the code: commands, settings, recipes, records, and Python."""

import argparse
import dataclasses
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import get_args

import msgspec

import alexnet
from alexnet import records
from alexnet.cli.parser import parser
from alexnet.commands import results
from alexnet.config import CHOICES, FIELDS, PAPER, RANGES, Train
from alexnet.recipes import RECIPES

MODULES = (
    *("alexnet.config", "alexnet.recipes", "alexnet.seeds", "alexnet.data.augment", "alexnet.data.decode"),
    *("alexnet.data.open", "alexnet.data.pack", "alexnet.data.sources", "alexnet.evaluation.features"),
    *("alexnet.models.dropout", "alexnet.models.lrn", "alexnet.models.network", "alexnet.models.summary"),
    *("alexnet.models.variants", "alexnet.pages.kernels", "alexnet.searching.index", "alexnet.training.step"),
    "alexnet.weights.sparse",
)
"""The modules below `alexnet` that documents and notebooks import; their names stay."""


def write(folder: Path) -> None:
    """Writes every page into a folder."""
    folder.mkdir(exist_ok=True)
    pages = {"commands": commands, "settings": settings, "recipes": recipes, "records": record_pages, "python": python}
    pages["modules"] = modules
    for name, page in pages.items():
        text = "\n".join(page()) + "\n"
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:  # or Sphinx would build it anew every time
            path.write_text(text, encoding="utf-8")


def commands() -> Iterator[str]:
    """Yields the page of the commands, as `--help` has them."""
    yield "# Commands\n\nWhat `alexnet COMMAND --help` prints.\n"
    (subparsers,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    for name, command in subparsers.choices.items():
        yield f"## {name}\n\n```text\n{command.format_help().rstrip()}\n```\n"


def settings() -> Iterator[str]:
    """Yields the page of the settings: each with its values, its default and what it means."""
    yield (
        "# Settings\n\nEverything that decides a training. `--set NAME=VALUE` changes a setting of a recipe, and so "
        "does `alexnet.train(..., NAME=VALUE)`. The defaults are the paper's.\n"
    )
    yield "| setting | values | default | meaning |\n|---|---|---|---|"
    meanings = _attributes(Train.__mro__[1]) | _attributes(Train)
    for name, kind in FIELDS.items():
        yield f"| `{name}` | {_values(name, kind)} | `{getattr(PAPER, name)}` | {meanings[name]} |"


def _values(name: str, kind: object) -> str:
    if name in CHOICES:
        return ", ".join(f"`{choice}`" for choice in CHOICES[name])
    types = ", ".join(each.__name__ for each in get_args(kind) or (kind,)).replace("NoneType", "None")
    low, high = RANGES.get(name, (None, None))
    return types if low is None else f"{types}; {low:g} to {high:g}"


def _attributes(kind: type) -> dict[str, str]:
    """Returns the meaning of every attribute that a class's docstring lists."""
    listed = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2].partition("\n\nRaises:")[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", listed, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def recipes() -> Iterator[str]:
    """Yields the page of the recipes: what each changes of the paper's settings."""
    yield "# Recipes\n\nWhat each recipe changes of the paper's [settings](settings.md).\n"
    for name, train in RECIPES.items():
        changed = {field: value for field, value in dataclasses.asdict(train).items() if value != getattr(PAPER, field)}
        rows = [f"| `{field}` | `{value}` |" for field, value in changed.items() if field != "recipe"]
        table = ["| setting | value |", "|---|---|", *rows] if rows else ["The paper's settings as they are."]
        yield "\n".join([f"## {name}\n", *table, ""])


def record_pages() -> Iterator[str]:
    """Yields the page of the records: what commands return, and print with `--json`."""
    yield "# Records\n\nWhat the commands return, and print with `--json`. `to_json()` gives a record as JSON.\n"
    kinds = {name: kind for room in (results, records) for name, kind in vars(room).items() if _is_record(kind)}
    for name, kind in sorted(kinds.items()):
        yield f"## {name}\n\n```{{eval-rst}}\n.. autoclass:: {kind.__module__}.{name}\n   :members:\n```\n"


def _is_record(kind: object) -> bool:
    return inspect.isclass(kind) and issubclass(kind, msgspec.Struct) and kind is not records.Record


def python() -> Iterator[str]:
    """Yields the page of the public names of Python."""
    yield "# Python\n\nThe names of `import alexnet`.\n"
    for name in alexnet.__all__:
        if inspect.isclass(getattr(alexnet, name)):
            directive = f".. autoclass:: alexnet.{name}\n   :members:\n   :inherited-members: Module"
        elif name != "__version__":
            function = getattr(alexnet, name)
            directive = f".. autofunction:: {function.__module__}.{function.__name__}"
        else:
            continue
        yield f"## {name}\n\n```{{eval-rst}}\n{directive}\n```\n"


def modules() -> Iterator[str]:
    """Yields the page of the modules that notebooks and other pages import."""
    yield "# Modules\n\nThe parts of AlexNet by themselves, as the notebooks and the pages of this site import them.\n"
    for module in map(import_module, MODULES):
        yield f"## {module.__name__}\n\n{_first_sentence(module)}\n\n| name | what it is |\n|---|---|"
        for name, member in vars(module).items():
            if getattr(member, "__module__", "") == module.__name__ and callable(member) and not name.startswith("_"):
                yield f"| `{name}` | {_first_sentence(member)} |"
        yield ""


def _first_sentence(documented: object) -> str:
    return " ".join((inspect.getdoc(documented) or "").partition("\n\n")[0].split()).replace("|", "\\|")

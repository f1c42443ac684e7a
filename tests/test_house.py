"""Counts what makes a package hard to change, and fails when a figure grows beyond its limit.

`python tests/test_house.py` prints the figures; `python tests/test_house.py worst` also prints where they come from.
"""

import ast
import contextlib
import io
import os
import re
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

import alexnet

PACKAGE = Path(alexnet.__file__).parent
UNTYPED = "dict[str, Any]"
WINDOW = "alexnet"
"""The package's own `__init__`, which imports from every room on demand; a cycle through it is not counted."""

MAX_UNTYPED_SIGNATURES = 12
MAX_ANY_PER_1000 = 5
MAX_STRING_KEYS_PER_1000 = 10
MAX_FUNCTION = 50
MAX_FILE = 350
MAX_LINES = 31_000
MAX_CYCLES = 0
MAX_HOPS = 3


@dataclass(frozen=True)
class Module:
    """A file of the package: its dotted name, its lines, and its syntax tree."""

    name: str
    path: Path
    lines: int
    tree: ast.Module

    def walk(self, *kinds):
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))

    def functions(self):
        return self.walk(ast.FunctionDef, ast.AsyncFunctionDef)

    def at(self, node):
        return f"{self.path.relative_to(PACKAGE)}:{node.lineno}"


def read():
    """Returns every Python file of the package."""
    modules = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        text = path.read_text(encoding="utf-8")
        name = ".".join(parts).removesuffix(".__init__")
        modules.append(Module(name, path, len(text.splitlines()), ast.parse(text)))
    return modules


def untyped_signatures(modules):
    """Returns the places of annotations, of parameters and of results, that contain `dict[str, Any]`."""
    places = []
    for module in modules:
        for function in module.functions():
            takes = function.args
            parameters = [*takes.posonlyargs, *takes.args, *takes.kwonlyargs, takes.vararg, takes.kwarg]
            annotations = [parameter.annotation for parameter in parameters if parameter] + [function.returns]
            places += [
                f"{module.at(function)} {function.name}"
                for annotation in annotations
                if annotation and UNTYPED in ast.unparse(annotation)
            ]
    return places


def anys(modules):
    """Returns the places where the name `Any` is used; importing it does not count."""
    return [module.at(node) for module in modules for node in module.walk(ast.Name) if node.id == "Any"]


def string_keys(modules):
    """Returns the places of subscripts by a literal string and of calls of `.get` whose first argument is one."""
    places = []
    for module in modules:
        for node in module.walk(ast.Subscript, ast.Call):
            is_get = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"
            key = node.slice if isinstance(node, ast.Subscript) else node.args[0] if is_get and node.args else None
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                places.append(module.at(node))
    return places


def function_lengths(modules):
    """Returns (lines from `def` to the end of the last statement, place) of every function, the longest first."""
    lengths = [
        (function.end_lineno - function.lineno + 1, f"{module.at(function)} {function.name}")
        for module in modules
        for function in module.functions()
    ]
    return sorted(lengths, reverse=True)


def imports(module, names):
    """Yields the modules of the package that a module imports, at the top, in functions, or for type checkers."""
    for node in module.walk(ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif node.module in names:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in names else node.module


def cycles(modules):
    """Returns the groups of modules that import each other, directly or through others."""
    names = {module.name for module in modules} - {WINDOW}
    below = {module.name: set(imports(module, names)) for module in modules if module.name in names}
    reach = {name: _reachable(name, below) for name in names}
    knots = {frozenset(other for other in names if other in reach[name] and name in reach[other]) for name in names}
    return sorted(sorted(knot) for knot in knots if len(knot) > 1)


def _reachable(start, below):
    reached, waiting = set(), [start]
    while waiting:
        for name in below[waiting.pop()] - reached:
            reached.add(name)
            waiting.append(name)
    return reached


def hops():
    """Returns the package's functions on the call stack when `alexnet train` calls `backward`, the outermost first.

    The first is `alexnet.cli.main`, which the shell calls, and the last is the one that calls `Tensor.backward`; both
    count. Frames of torch and of the standard library do not count. A function that stands on the stack twice counts
    twice. The stack is that of the first step of a training of `cifar-80sec` in one process, in float32.
    """
    import torch

    stacks, backward = [], torch.autograd.backward

    def note(*arguments, **more):
        frame, stack = sys._getframe(1), []
        while frame:
            if Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
                stack.append((frame.f_code.co_filename, frame.f_code.co_qualname))
            frame = frame.f_back
        stacks.append(stack[::-1])
        return backward(*arguments, **more)

    torch.autograd.backward = note
    try:
        _train_one_step()
    finally:
        torch.autograd.backward = backward
    names = [f"{Path(file).relative_to(PACKAGE)} {function}" for file, function in stacks[0]]
    (start,) = (place for place, (_, function) in enumerate(stacks[0]) if function == "main")
    return names[start:]


def _train_one_step():
    from PIL import Image

    from alexnet import cli

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALEXNET_CACHE", f"{folder}/cache")
        for number, place in enumerate(f"{split}/{name}" for split in ("train", "val") for name in "ab"):
            path = Path(folder, "pictures", place)
            path.mkdir(parents=True)
            for i in range(2):
                Image.new("RGB", (32, 32), (60 * number, 90 * i, 90)).save(path / f"{i}.png")
        words = ["train", "cifar-80sec", "--data", f"{folder}/pictures", "--out", f"{folder}/run", "--steps", "1"]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            cli.main([*words, "--precision", "float32", "--set", "batch_size=2"])


def measure():
    """Returns name -> (figure, limit)."""
    modules = read()
    lines = sum(module.lines for module in modules)
    return {
        f"`{UNTYPED}` in signatures": (len(untyped_signatures(modules)), MAX_UNTYPED_SIGNATURES),
        "`Any` per 1,000 lines": (1000 * len(anys(modules)) / lines, MAX_ANY_PER_1000),
        "accesses by string key per 1,000 lines": (1000 * len(string_keys(modules)) / lines, MAX_STRING_KEYS_PER_1000),
        "lines of the longest function": (function_lengths(modules)[0][0], MAX_FUNCTION),
        "lines of the longest file": (max(module.lines for module in modules), MAX_FILE),
        "lines of Python": (lines, MAX_LINES),
        "import cycles, lazy ones too": (len(cycles(modules)), MAX_CYCLES),
        "functions between the shell and `backward`": (len(hops()), MAX_HOPS),
    }


@pytest.fixture(scope="module")
def figures():
    return measure()


@pytest.mark.parametrize("name", [
    "`dict[str, Any]` in signatures",
    "`Any` per 1,000 lines",
    "accesses by string key per 1,000 lines",
    "lines of the longest function",
    "lines of the longest file",
    "lines of Python",
    "import cycles, lazy ones too",
    "functions between the shell and `backward`",
])  # fmt: skip
def test_the_house_has_not_grown(figures, name):
    figure, most = figures[name]
    assert figure <= most


def test_the_document_names_the_functions_between_the_shell_and_backward():
    text = (Path(__file__).parents[1] / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    sentence = text.split("From the shell to `backward` a training passes through ")[1].split("\n\n")[0]
    names = re.findall(r"`([\w.]+)`", sentence)
    assert sentence.split()[0] == str(len(names))
    assert names == [hop.split()[1] for hop in hops()]


def worst():
    """Prints where the figures come from, the largest first."""
    modules = read()
    places = {
        "accesses by string key": string_keys(modules),
        "`Any`": anys(modules),
        f"`{UNTYPED}` in signatures": untyped_signatures(modules),
    }
    for name, all_places in places.items():
        by_file = defaultdict(int)
        for place in all_places:
            by_file[place.split(":")[0]] += 1
        print(f"\n{name}: {len(all_places)}")
        for file, count in sorted(by_file.items(), key=lambda item: -item[1])[:25]:
            print(f"{count:6} {file}")
    print("\nfunctions")
    for length, place in function_lengths(modules)[:12]:
        print(f"{length:6} {place}")
    print("\nfiles")
    for length, path in sorted(((module.lines, module.path) for module in modules), reverse=True)[:12]:
        print(f"{length:6} {path.relative_to(PACKAGE)}")
    print("\ncycles", *map(" <-> ".join, cycles(modules)), sep="\n  ")
    print("\ncalls to backward", *hops(), sep="\n  ")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name, (figure, most) in measure().items():
        print(f"{name:<44}{round(figure, 1):>10,}  at most {most:,}")
    if sys.argv[1:] == ["worst"]:
        worst()

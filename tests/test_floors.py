"""The floors of docs/explanation/architecture.md: a module imports from its own floor or from lower ones."""

import ast
from pathlib import Path

import pytest

import alexnet

PACKAGE = Path(alexnet.__file__).parent

FLOORS = [
    {
        "config",
        "recipes",
        "seeds",
        "files",
        "errors",
        "records",
        "observer",
        "web",
        "pickles",
        "requirements",
        "__init__",
    },
    {"native", "machine", "team", "meeting", "progress"},
    {"models", "data"},
    {"weights"},
    {"run"},
    {"evaluation", "foreign"},
    {"exports"},
    {"training", "pages", "benches"},
    {"compression", "explaining", "searching"},
    {"claims", "auditing", "serving", "lecturing"},
    {"commands"},
    {"cli", "__main__"},
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}

MODULES = [path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]
"""All but the shop window, which opens onto every floor."""


def part(module):
    """The first name below `alexnet`, with which a floor is named."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(module):
    """What of the package a module imports, anywhere in it."""
    for node in ast.walk(ast.parse((PACKAGE / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "alexnet":
            yield from (f"alexnet.{alias.name}" for alias in node.names if alias.name in FLOOR)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_from_no_higher_floor(module):
    own = module.parts[0].removesuffix(".py")
    used = {part(name) for name in imports(module) if name.split(".")[0] == "alexnet"}
    assert not {name for name in used if FLOOR[name] > FLOOR[own]}
    assert not {own, *used} >= {"models", "data"} or own not in ("models", "data")


@pytest.mark.parametrize(
    "module", [module for module in MODULES if FLOOR[module.parts[0].removesuffix(".py")] == 0], ids=str
)
def test_the_ground_floor_does_without_torch(module):
    assert "torch" not in {imported.split(".")[0] for imported in imports(module)}


def test_every_part_stands_on_a_floor():
    assert {module.parts[0].removesuffix(".py") for module in MODULES} <= FLOOR.keys()


def test_the_document_draws_the_floors_as_they_are():
    text = (Path(__file__).parents[1] / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    drawing = text.split("**Floors.**")[1].split("```text")[1].split("```")[0].strip().splitlines()
    names = [set(line.split("    ")[0].split()) for line in drawing]
    assert names[::-1] == [floor - {"__init__", "__main__"} for floor in FLOORS]

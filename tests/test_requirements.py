"""What the package lacks on a machine is said in one line, by Python and by the command."""

import ast
import os
import subprocess
import sys
import tomllib
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

import alexnet as package
from alexnet import requirements

PACKAGE = Path(package.__file__).parent
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


@pytest.fixture
def torch_version(monkeypatch, tmp_path):
    """A function that pretends a version of torch, or with None that there is no torch."""

    def pretend(version):
        module = None
        if version is not None:
            (tmp_path / "version.py").write_text(f"from typing import Optional\n__version__ = '{version}'\n")
            module = ModuleType("torch")
            module.__spec__ = ModuleSpec("torch", None, origin=str(tmp_path / "__init__.py"))
        monkeypatch.setitem(sys.modules, "torch", module)

    return pretend


def test_this_machine_lacks_nothing():
    assert requirements.problem() is None


def test_a_python_that_is_too_old_is_named(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 14, "final", 0))
    assert requirements.problem() == "alexnet needs Python 3.11 or newer; this is Python 3.10"


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py", "requirements.py"])
def test_an_old_python_can_read_what_tells_it_so(name):
    tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"), feature_version=(3, 7))
    annotated = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.returns]
    is_lazy = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    assert is_lazy or all(isinstance(node.returns, ast.Constant) for node in annotated)


@pytest.mark.parametrize("version", ["2.9.1+cpu", "1.13.0", "3.0.0", "2.1.0a0+git7cd1a3d"])
def test_a_torch_that_is_too_old_or_too_new_is_named(torch_version, version):
    torch_version(version)
    number = ".".join(version.split(".")[:2])
    assert requirements.problem() == f"this alexnet does not work with torch {number}: pip install 'torch>=2.10,<3'"


@pytest.mark.parametrize("version", ["2.10.0", "2.13.0+cpu", "2.99.1a0+git1234"])
def test_the_versions_of_torch_in_the_range_are_taken(torch_version, version):
    torch_version(version)
    assert requirements.problem() is None


def test_a_missing_torch_comes_with_the_command_that_installs_it(torch_version):
    torch_version(None)
    assert requirements.problem() == "alexnet needs torch, which is not installed: pip install 'torch>=2.10,<3'"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one C library")
@pytest.mark.parametrize("answer", ["", None, ValueError("unrecognized configuration name"), OSError(22, "Invalid")])
def test_where_the_c_library_is_musl_no_wheel_is_promised(monkeypatch, torch_version, answer):
    def confstr(name):
        if isinstance(answer, Exception):
            raise answer
        return answer

    torch_version(None)
    monkeypatch.setattr(os, "confstr", confstr)
    message = "torch has no wheels for this system's C library (musl?): run alexnet on a system with glibc, as Debian's"
    assert requirements.problem() == message


@pytest.mark.parametrize(
    ("lines", "is_fit"),
    [
        ("processor : 0\nflags\t\t: fpu sse sse2 ssse3 sse4_1 lm\n", False),
        ("processor : 0\nflags\t\t: fpu sse sse2 ssse3 sse4_1 sse4_2 popcnt lm\n", True),
        ("processor : 0\nFeatures\t: fp asimd\n", True),
    ],
    ids=["Core 2", "Nehalem", "aarch64"],
)
def test_a_processor_on_which_torch_would_crash_is_told_before_it_does(monkeypatch, tmp_path, lines, is_fit):
    monkeypatch.setattr(requirements, "CPUINFO", tmp_path / "cpuinfo")
    requirements.CPUINFO.write_text(lines)
    assert (requirements.problem() is None) is is_fit
    assert is_fit or requirements.problem().startswith("this processor has no SSE4.2")


def test_the_range_of_torch_is_the_one_that_pip_is_told():
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    assert requirements.TORCH in project["dependencies"]
    assert project["requires-python"] == ">=3.11"


def test_python_and_the_command_say_it_in_one_line(tmp_path):
    torch = tmp_path / "torch"
    torch.mkdir()
    (torch / "__init__.py").write_text("raise RuntimeError('this torch must not be imported')")
    (torch / "version.py").write_text("__version__ = '2.4.0+cpu'\n")
    message = "this alexnet does not work with torch 2.4: pip install 'torch>=2.10,<3'"
    before = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(PACKAGE.parent)])}

    def end(*arguments):
        return subprocess.run([sys.executable, *arguments], env=before, capture_output=True, text=True)

    command = end("-m", "alexnet", "summary")
    assert (command.returncode, command.stdout, command.stderr) == (2, "", f"alexnet: {message}\n")
    python = end("-c", "import alexnet\nalexnet.load")
    assert python.stderr.splitlines()[-1] == f"ImportError: {message}"

"""What the documents say of the code, where it can be held against the code."""

import ast
import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import alexnet
from alexnet.models.create import create

ROOT = Path(__file__).parents[2]
PACKAGE = Path(alexnet.__file__).parent
ARCHITECTURE = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
TREES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}


def files_that(use):
    """Returns the files of the package in whose syntax tree `use` is true of a node."""
    return {name for name, tree in TREES.items() if any(map(use, ast.walk(tree)))}


def is_call_of(*names):
    return lambda node: isinstance(node, ast.Call) and ast.unparse(node.func) in names


def imports_of(package):
    def is_import(node):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            return False
        return any(name == package or name.startswith(f"{package}.") for name in names)

    return is_import


def outside(room, files):
    return {name for name in files if not name.startswith(f"{room}/")}


def test_only_the_shell_and_contestants_print_read_arguments_or_exit():
    uses = is_call_of("print", "input", "sys.exit", "exit")
    contestants = {"benches/train.py"}
    assert outside("cli", files_that(uses)) - contestants <= {"progress.py"}
    assert outside("cli", files_that(imports_of("argparse"))) == set()


def test_only_two_modules_touch_distributed_torch():
    assert files_that(imports_of("torch.distributed")) == {"team.py", "meeting.py"}


def test_only_folded_seeds_are_random():
    drawn_by_themselves = is_call_of(
        *("torch.rand", "torch.randn", "torch.randint", "torch.randperm", "torch.randn_like", "torch.rand_like"),
        *("torch.manual_seed", "np.random.default_rng", "np.random.seed", "np.random.rand", "os.urandom"),
    )
    assert outside("benches", files_that(drawn_by_themselves)) <= {
        "claims/forecast.py"
    }  # it measures the time of a step
    assert files_that(imports_of("random")) | files_that(imports_of("secrets")) == set()
    folded = {"models/initialise.py", "models/dropout.py"}
    assert files_that(lambda node: isinstance(node, ast.Attribute) and node.attr == "manual_seed") <= folded


def test_nothing_that_a_file_holds_is_run():
    runs = is_call_of(
        *("eval", "exec", "compile", "__import__", "pickle.load", "pickle.loads", "pickle.Unpickler", "torch.load"),
        *("marshal.loads", "torch.jit.load", "torch.hub.load", "yaml.load", "joblib.load"),
    )
    assert files_that(runs) == set()
    allowed = {
        keyword.value.value
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "allow_pickle"
    }
    assert allowed <= {False}


def test_there_are_no_worker_processes_of_the_data():
    assert files_that(imports_of("multiprocessing")) == set()
    assert {name for name in files_that(imports_of("subprocess")) if name.startswith(("data/", "training/"))} == set()


def test_the_kernels_have_no_python_in_them():
    assert not any("Python.h" in path.read_text(encoding="utf-8") for path in (PACKAGE / "native").glob("*.[ch]*"))


def test_an_alexnet_has_sixteen_tensors():
    assert "AlexNet has 16 tensors of weights and biases" in ARCHITECTURE
    assert len(list(create("toy", initialisation="none").parameters())) == 16


@functools.cache
def ends_of_paths():
    """Every file of the repository by all ends of its path; environments and what was built are not of it."""
    own = [path for path in ROOT.iterdir() if path.name not in ("build", "dist", "runs") and path.name[0] != "."]
    there = [path.relative_to(ROOT).parts for top in own for path in (top, *top.rglob("*"))]
    return {"/".join(parts[i:]) for parts in there for i in range(len(parts))}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_names_is_there(document):
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w./*-])(?:[\w-]+/)*[\w-]+\.(?:py|cpp|ipynb)\b", text))
    assert named <= ends_of_paths()


def test_the_table_of_the_run_folder_has_every_file_of_a_run(alexnet, pictures, tmp_path):
    table = ARCHITECTURE.split("## A run folder")[1].split("\n##")[0]
    named = {name.rstrip("/") for name in re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)}
    words = ("--data", pictures, "--out", tmp_path / "run", "--steps", 2, "--precision", "float32")
    code, _, err = alexnet("train", "cifar-80sec", *words)
    assert code == 0, err
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert named - {"tensorboard"} == left - {"tensorboard"}


def test_the_readers_to_fuzz_are_listed():
    tree = ast.parse((ROOT / "tests/fuzz/fuzz.py").read_text(encoding="utf-8"))
    (readers,) = (
        [key.value for key in node.value.keys]
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "READERS"
    )
    sentence = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("There are `")[1].split(". A file")[0]
    assert re.findall(r"`?([\w-]+)`", "`" + sentence) == readers


def test_the_readme_counts_parameters_and_multiply_adds_as_the_program_does(alexnet):
    rows = re.findall(r"^\| (`[^|]+`) \|[^|]+\| ([\d,]+) \| ([\d,]+) \|$", README, re.MULTILINE)
    assert len(rows) >= 6
    for names, parameters, macs in rows:
        for name in re.findall(r"`([\w-]+)`", names):
            counted = json.loads(alexnet("summary", "--variant", name, "--json")[1])
            assert (f"{counted['parameters']:,}", f"{counted['macs']:,}") == (parameters, macs), name


def test_a_compressed_file_is_decoded_without_torch():
    said = (ROOT / "docs/reference/compressed-format.md").read_text(encoding="utf-8")
    assert "need numpy and msgspec alone" in said
    program = "import sys\n"
    program += "from alexnet.weights import huffman, sparse\nprint({'torch', 'PIL', 'safetensors'} & {*sys.modules})"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"

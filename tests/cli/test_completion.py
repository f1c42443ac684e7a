"""The scripts of `--print-completion` complete words in the shells themselves."""

import shutil
import subprocess
import sys

import pytest

from alexnet.recipes import RECIPES

BASH = """
source {script}
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_alexnet
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
FISH = 'source {script}; complete -C"{words}"'
PROGRAMS = {"bash": BASH, "fish": FISH}


@pytest.fixture(scope="module", params=["bash", "fish"])
def completed(request, tmp_path_factory):
    """A function from words, the last one begun, to what the shell offers for it."""
    shell, script = request.param, tmp_path_factory.mktemp("completion") / "script"
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    script.write_text(printed(shell))

    def complete(words):
        words = words.replace(" ''", " ") if shell == "fish" else words
        program = PROGRAMS[shell].format(script=script, words=words)
        ended = subprocess.run([shell, "-c", program], capture_output=True, text=True, check=True)
        return {line.split("\t")[0] for line in ended.stdout.splitlines()}

    return complete


def printed(shell):
    command = [sys.executable, "-m", "alexnet", "--print-completion", shell]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_commands(completed):
    assert completed("alexnet su") == {"summary"}


def test_recipes(completed):
    assert completed("alexnet train ''") == set(RECIPES)


def test_variants(completed):
    assert completed("alexnet summary --variant caf") == {"caffe-alexnet", "caffenet"}


def test_claims(completed):
    assert completed("alexnet claim ov") == {"overlap"}


def test_public_weights(completed):
    assert completed("alexnet weights get one-") == {"one-weird-trick"}


def test_settings(completed):
    assert completed("alexnet train modern --set smallest_c") == {"smallest_crop="}


def test_choices_of_an_option(completed):
    assert completed("alexnet explain runs/mine a.jpg --fill b") == {"blur"}


def test_files(completed, tmp_path):
    (tmp_path / "holiday.jpg").touch()
    assert f"{tmp_path}/holiday.jpg" in completed(f"alexnet predict {tmp_path}/hol")


def test_zsh_reads_its_script(tmp_path):
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    (tmp_path / "_alexnet").write_text(printed("zsh"))
    subprocess.run(["zsh", "-n", tmp_path / "_alexnet"], check=True)


def test_an_unknown_shell_is_told_in_one_line():
    ended = subprocess.run(
        [sys.executable, "-m", "alexnet", "--print-completion", "powershell"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "there are bash, zsh, fish" in ended.stderr

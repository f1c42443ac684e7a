"""What a first prediction leaves alone."""

import subprocess
import sys
from pathlib import Path

LOAD = "import alexnet, sys; alexnet.load('tiny-imagenet'); print('sympy' in sys.modules)"


def test_loading_a_network_does_not_import_sympy(tmp_path: Path) -> None:
    output = subprocess.run([sys.executable, "-c", LOAD], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert output.stdout.split() == ["False"]

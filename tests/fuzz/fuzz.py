"""Coverage-guided fuzzing of the readers of binary files; not part of the everyday tests.

    python -m pip install --target /tmp/fuzz atheris
    PYTHONPATH=/tmp/fuzz python tests/fuzz/fuzz.py READER [CORPUS] -max_total_time=180 -rss_limit_mb=2048

READER is one of those below. Whatever it is given, a reader answers with a network or with an `AlexNetError` of one
line. What it finds is put into `tests/fuzz/seeds/READER/`, which `test_seeds.py` reads, and mended.
"""

import json
import pickle
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

sys.path.insert(0, str(Path(__file__).parents[1] / "foreign"))

import foreign

if __name__ == "__main__":
    import atheris

    with atheris.instrument_imports(include=["alexnet.foreign", "alexnet.weights", "alexnet.pickles", "zipfile"]):
        import alexnet.foreign.read
        import alexnet.weights.compressed  # noqa: F401

from alexnet import pickles
from alexnet.errors import AlexNetError
from alexnet.foreign import caffe, convnet, torchvision
from alexnet.foreign.read import read
from alexnet.models.create import create
from alexnet.models.variants import VARIANTS, Variant
from alexnet.records import Description, Header, Preprocessing
from alexnet.weights import checkpoint, compressed

TOY = {"channels": (4, 4, 4, 4, 4), "hidden": 4}
SIZES = {**TOY, "classes": 2}
ROWS = {"fuzz-caffenet": "caffenet", "fuzz-torchvision": "one-weird-trick", "fuzz-as-run": "alexnet-as-run"}


def from_file(read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """Reads bytes that a reader wants in a file."""

    def do(data: bytes) -> object:
        with tempfile.NamedTemporaryFile(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as file:
            file.write(data)
            file.flush()
            return read(Path(file.name))

    return do


def from_memory(read: Callable[..., object], *more: object) -> Callable[[bytes], object]:
    """Reads bytes as they lie in memory."""
    return lambda data: read("file", memoryview(bytearray(data)), *more)


def _pickle(data: bytes) -> object:
    try:
        return pickles.read(memoryview(data))
    except pickles.PickleError as error:
        raise AlexNetError(str(error)) from error


def _header(data: bytes) -> object:
    """Reads a weight file of ours that says `data` of itself: bytes changed at random rarely get that far."""
    tensors = load_tensors(_ours("safetensors"))
    return from_file(checkpoint.load)(save_tensors(tensors, {"alexnet": data.decode("utf-8", "replace")}))


READERS: dict[str, Callable[[bytes], object]] = {
    "caffe": from_memory(caffe.read, None),
    "pickle": _pickle,
    "convnet": from_memory(convnet.read, None),
    "older-pth": from_memory(torchvision.read_older),
    "zip": from_file(read),
    "foreign-safetensors": from_file(read),
    "safetensors": from_file(checkpoint.load),
    "header": _header,
    "compressed": from_file(compressed.load),
}


def rows() -> dict[str, Variant]:
    """Gives small networks for the table of variants, so that the files of the corpus are small too."""
    return {name: replace(VARIANTS[row], **TOY) for name, row in ROWS.items()}


def starts(reader: str) -> list[bytes]:
    """Gives whole files for the fuzzer to start from."""
    net = foreign.TorchvisionAlexNet(**{"channels": TOY["channels"], "hidden": TOY["hidden"], "classes": 2})
    if reader == "caffe":
        weights = foreign.random_weights(**SIZES, side=1)
        return [foreign.caffemodel(weights, numbers=numbers) for numbers in (foreign.V1, foreign.V2)]
    if reader in ("convnet", "pickle"):
        plain = pickle.dumps({"model_state": {"layers": [], "n": np.arange(3.0)}, 1: (None, True, 2.5)}, 2)
        return [plain, foreign.convnet_checkpoint(foreign.two_towers((2, 2, 2, 2, 2), 2, 2))]
    if reader == "older-pth":
        return [_saved(net.state_dict(), _use_new_zipfile_serialization=False)]
    if reader == "zip":
        buffer = BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("data", pickle.dumps({"model_state": {"layers": []}}, 2))
        return [buffer.getvalue(), _saved(net.state_dict())]
    if reader == "foreign-safetensors":
        text = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
        return [struct.pack("<Q", len(text)) + text + bytes(8)]
    if reader == "header":
        data = _ours("safetensors")
        length = int.from_bytes(data[:8], "little")
        return [json.loads(data[8 : 8 + length])["__metadata__"]["alexnet"].encode()]
    return [_ours(reader)]


def _saved(value: object, **how: object) -> bytes:
    buffer = BytesIO()
    torch.save(value, buffer, **how)
    return buffer.getvalue()


@cache
def _ours(reader: str) -> bytes:
    model = create("fuzz-caffenet", classes=2, input_size=67, seed=1)
    with torch.no_grad():
        for weights in (p for p in model.parameters() if p.dim() > 1):
            weights.copy_((weights > weights.mean() + 2 * weights.std()).float())
            weights.view(-1)[0] = 1
    preprocessing = Preprocessing(stored_size=76, divide_pixels_by=1.0)
    header = Header.of(Description(classes=("a", "b"), preprocessing=preprocessing), model.design)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        save = compressed.save if reader == "compressed" else checkpoint.save
        save(path, model, np.zeros((76, 76, 3), np.float32), header)
        return path.read_bytes()


def read_or_refuse(reader: str, data: bytes) -> None:
    """Reads a file; any end but success and a refusal of one line is a fault."""
    told = ""
    try:
        READERS[reader](data)
    except AlexNetError as error:
        told = str(error)
    assert "\n" not in told


def main() -> None:
    """Fuzzes one reader."""
    reader = sys.argv[1]
    torch.set_num_threads(1)
    VARIANTS.update(rows())
    corpus = Path(next((a for a in sys.argv[2:] if not a.startswith("-")), tempfile.mkdtemp()))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(starts(reader)):
        (corpus / f"start-{number}").write_bytes(data)
    options = [argument for argument in sys.argv[2:] if argument.startswith("-")]
    atheris.Setup([sys.argv[0], str(corpus), "-max_len=100000", *options], lambda data: read_or_refuse(reader, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""Files of other programs that are given for a run are called what they are."""

import zipfile

import pytest
import torch

from alexnet.errors import CheckpointError, UsageError
from alexnet.evaluation.classifier import load
from alexnet.exports import onnx
from alexnet.models.create import create
from alexnet.pages.report import write_report
from alexnet.run import Run
from alexnet.weights.strange import refuse_strange


def write_onnx(path):
    path.write_bytes(onnx.FORMAT.builds["native"](create("toy", input_size=67, classes=3), None, {}))


def archive(*names):
    """Returns a function that writes an archive with these members."""

    def write(path):
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                file.writestr(name, b"")

    return write


def write_checkpoint(path):
    torch.save({"conv1": torch.ones(1)}, path)


def write_older_checkpoint(path):
    torch.save({"conv1": torch.ones(1)}, path, _use_new_zipfile_serialization=False)


KINDS = {
    "net.onnx": (write_onnx, "is an ONNX file, made for other programs: give the run folder or the weight file"),
    "net.keras": (
        archive("metadata.json", "config.json", "model.weights.h5"),
        "is a Keras file, made for other programs",
    ),
    "net.h5": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n\0\0\0"), "is an HDF5 file of Keras, made for other"),
    "net.pt2": (
        archive("archive/models/model.json", "archive/archive_format"),
        "is a torch.export file, made for other programs",
    ),
    "net.pth": (write_checkpoint, r"is a checkpoint of PyTorch, which becomes a run by: alexnet convert .*net.pth RUN"),
    "old.pth": (write_older_checkpoint, r"is a pickle, which becomes a run by: alexnet convert .*old.pth RUN"),
    "net.zip": (archive("a"), "is a zip archive, and no network"),
    "half.zip": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(40)), "is a damaged zip archive"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_another_program_is_called_what_it_is(name, tmp_path):
    write, what = KINDS[name]
    write(tmp_path / name)
    for use in (load, lambda path: Run(path).description(), write_report):
        with pytest.raises(CheckpointError, match=what):
            use(tmp_path / name)


def test_our_own_files_and_what_is_not_known_are_left_to_their_readers(run, tmp_path):
    refuse_strange(run / "model.safetensors")
    (tmp_path / "long.safetensors").write_bytes((0x121F08).to_bytes(8, "little") + b'{"alexnet"')
    refuse_strange(tmp_path / "long.safetensors")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(CheckpointError, match="is not a whole safetensors file"):
        load(tmp_path / "text")
    with pytest.raises(CheckpointError, match="is no run folder"):
        Run(tmp_path / "text").description()
    with pytest.raises(UsageError, match="no run folder at"):
        write_report(tmp_path / "text")

"""What a file is that was given for a run but is another program's: said by its first bytes, not by its name."""

from pathlib import Path
from zipfile import BadZipFile, ZipFile

from alexnet.errors import CheckpointError

_EXPORTED = "made for other programs: give the run folder or the weight file that it was exported from"
_CONVERTIBLE = "which becomes a run by: alexnet convert"

_ONNX_FIELDS = b"\x12\x1a\x22\x3a\x42"  # what follows the version of an ONNX file: tags of a ModelProto's fields
_ONNX_VERSIONS = 32


def refuse_strange(path: Path) -> None:
    """Refuses a file that is known to be of another program, with what to do.

    Raises:
        CheckpointError: It is an ONNX, Keras or torch.export file, or a checkpoint of PyTorch.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(9)
    if head.endswith(b"{"):  # safetensors: eight bytes of any value are a length
        return
    if len(head) > 2 and head[0] == 8 and head[1] < _ONNX_VERSIONS and head[2] in _ONNX_FIELDS:
        raise CheckpointError(f"{path} is an ONNX file, {_EXPORTED}")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        raise CheckpointError(f"{path} is an HDF5 file of Keras, {_EXPORTED}")
    if head.startswith(b"PK\x03\x04"):
        _refuse_archive(path)
    if head.startswith(b"\x80"):
        raise CheckpointError(f"{path} is a pickle, {_CONVERTIBLE} {path} RUN")


def _refuse_archive(path: Path) -> None:
    try:
        with ZipFile(path) as archive:
            members = archive.namelist()
    except (BadZipFile, ValueError, RuntimeError, NotImplementedError) as error:
        raise CheckpointError(f"{path} is a damaged zip archive: {error}") from error
    names = {member.rpartition("/")[2] for member in members}
    if "model.weights.h5" in names:
        raise CheckpointError(f"{path} is a Keras file, {_EXPORTED}")
    if names & {"archive_format", "serialized_exported_program.json"}:
        raise CheckpointError(f"{path} is a torch.export file, {_EXPORTED}")
    if "data.pkl" in names:
        raise CheckpointError(f"{path} is a checkpoint of PyTorch, {_CONVERTIBLE} {path} RUN")
    raise CheckpointError(f"{path} is a zip archive, and no network: give a run folder or weight file")

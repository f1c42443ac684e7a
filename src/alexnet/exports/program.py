"""A program of `torch.export`: plain operations, which PyTorch, ExecuTorch and AOTInductor run without our code."""

import copy
import io

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alexnet.exports.format import Engine, Format, Input, Notes, PreprocessingSteps
from alexnet.models.network import Network


class Whole(nn.Module):
    """The network from its input, or from stored pictures, to probabilities."""

    def __init__(self, network: Network, preprocessing: PreprocessingSteps | None) -> None:
        super().__init__()
        self.network, self.preprocessing = copy.deepcopy(network), preprocessing
        for parameter in self.network.parameters():
            # The parameters of a file may share one piece of memory, which `torch.export.save` refuses.
            parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the probabilities, (N, classes)."""
        ready = images if self.preprocessing is None else self.preprocessing.tensors(images)
        return torch.as_tensor(self.network(ready).softmax(1))


def build(network: Network, preprocessing: PreprocessingSteps | None, notes: Notes) -> bytes:
    """Returns the contents of a `.pt2` file, which takes stored pictures if it preprocesses; notes are extra files."""
    example = torch.zeros(2, 3, network.input_size, network.input_size)
    if preprocessing is not None:
        example = torch.zeros(2, *preprocessing.mean.shape, dtype=torch.uint8)
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(Whole(network, preprocessing).eval(), (example,), dynamic_shapes=shapes)
    file = io.BytesIO()
    torch.export.save(program, file, extra_files=dict(notes))
    return file.getvalue()


def engine(content: bytes) -> Engine:
    """Loads the contents of a file into PyTorch."""
    module = torch.export.load(io.BytesIO(content)).module()

    @torch.inference_mode()
    def run(images: Input) -> NDArray[np.float32]:
        return np.asarray(module(torch.from_numpy(images)).numpy())

    return Engine(f"torch.export {torch.__version__}", run)


FORMAT = Format("torch-export", ".pt2", {"decomposed": build}, engine, networks=Network, resizes=False)

"""What a format for another runtime is: how a file of it is built, loaded and written."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.evaluation.classifier import Classifier
from alexnet.exports.preprocessing import Preprocessing
from alexnet.models.alexnet import AlexNet
from alexnet.models.network import Network

Input = NDArray[np.float32] | NDArray[np.uint8]
"""What a file takes: the network's input, (N, 3, S, S); or pictures, (N, H, W, 3), if it preprocesses them itself."""

Notes = Mapping[str, str]
"""Metadata of a file: names and text."""


class Engine(NamedTuple):
    """A runtime that holds an exported network: its name with its version, and the function to (N, C) probabilities."""

    name: str
    run: Callable[[Input], NDArray[np.float32]]


Build = Callable[[Network, Preprocessing | None, Notes], bytes]
"""Translates a network in evaluation mode, with the preprocessing to do inside, into the contents of a file."""


@dataclass(frozen=True)
class Folder:
    """How a format becomes a folder rather than a file.

    Attributes:
        fetch: Returns the runtime's files, name -> content, from a folder or, for None, from where they are published.
        write: Makes the folder of the contents of a file and the runtime's files; returns the bytes of all its files.
    """

    fetch: Callable[[Path | None], dict[str, bytes]]
    write: Callable[[Path, bytes, Classifier, dict[str, bytes]], int]


@dataclass(frozen=True)
class Format:
    """A format for another runtime.

    Attributes:
        name: The format's name.
        suffix: End of the name of a file or folder.
        builds: Way to normalise -> how a file is built; the first is the default.
        engine: Loads the contents of a file.
        needs: Packages that building and loading need.
        networks: The class of the networks that can be translated.
        opset: Version of ONNX's operators.
        takes_pictures: Whether files always preprocess.
        resizes: Whether files that preprocess take pictures of any size, rather than stored ones.
        quantise: Makes a file of 8-bit integers, calibrated on batches of input; None where the format has no way.
        round: Makes the weights of every file that is not quantised 8-bit; None leaves them as they are.
        folder: What makes a folder of a file; None writes the file itself.
    """

    name: str
    suffix: str
    builds: Mapping[str, Build]
    engine: Callable[[bytes], Engine]
    needs: tuple[str, ...] = ()
    networks: type[Network] = AlexNet
    opset: int | None = None
    takes_pictures: bool = False
    resizes: bool = True
    quantise: Callable[[bytes, Iterable[Input]], bytes] | None = None
    round: Callable[[bytes], bytes] | None = None
    folder: Folder | None = None

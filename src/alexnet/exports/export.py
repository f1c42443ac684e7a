"""From a trained network to a file for another runtime, compared with the network before it is written."""

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet import __version__
from alexnet.data.imagenet import words
from alexnet.data.store import Store
from alexnet.errors import UsageError
from alexnet.evaluation.classifier import Classifier
from alexnet.evaluation.evaluate import evaluate
from alexnet.exports import browser, int8, parity, program
from alexnet.exports import keras as keras_file
from alexnet.exports import onnx as onnx_file
from alexnet.exports.parity import Engine, Samples
from alexnet.exports.preprocessing import preprocessing
from alexnet.files import write
from alexnet.models.alexnet import AlexNet
from alexnet.observer import Observer
from alexnet.records import Dataset

FORMATS = {"onnx": ".onnx", "keras": ".keras", "torch-export": ".pt2", "browser": "-browser"}
"""What the name of each ends in; `browser` is a folder."""

NEEDS = {"onnx": ("onnx", "onnxruntime"), "keras": ("keras",), "torch-export": (), "browser": ("onnx", "onnxruntime")}

CALIBRATION = 128
"""Pictures of the training split that say how large activations are; spread over it evenly."""


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Attributes:
        form: A key of `FORMATS`.
        lrn: `native` or `decomposed`; None takes ONNX's operator where there is one.
        preprocess: Do the preprocessing inside the file; in a browser always.
        int8: Run on 8-bit integers, calibrated on pictures.
    """

    form: str
    lrn: str | None = None
    preprocess: bool = False
    int8: bool = False

    def __post_init__(self) -> None:
        if self.form not in FORMATS:
            raise UsageError(f"no format {self.form!r}; there are {', '.join(FORMATS)}")
        if not self.is_onnx and (self.int8 or self.lrn == "native"):
            what = "--int8" if self.int8 else "--lrn native"
            raise UsageError(f"{what} is for the formats onnx and browser, not for {self.form}")
        missing = [name for name in NEEDS[self.form] if importlib.util.find_spec(name) is None]
        if missing:
            raise UsageError(f"the format {self.form} needs {missing[0]}: pip install 'alexnet[export]'")

    @property
    def is_onnx(self) -> bool:
        """Whether the network goes into an ONNX file."""
        return self.form in ("onnx", "browser")

    @property
    def preprocesses(self) -> bool:
        """Whether pictures go in, rather than the network's input."""
        return self.preprocess or self.form == "browser"

    @property
    def resizes(self) -> bool:
        """Whether pictures of any size go in."""
        return self.preprocesses and self.form != "torch-export"


def export(
    classifier: Classifier,
    plan: Plan,
    out: Path,
    samples: Samples,
    store: Store | None = None,
    split: str = "val",
    runtime: Path | None = None,
    observer: Observer | None = None,
) -> dict[str, Any]:
    """Writes a network for another runtime, whole or not at all.

    Args:
        classifier: In float32.
        plan: What is asked for.
        out: File, or for a browser folder, to make.
        samples: Picture files on which both must agree.
        store: For int8: its training split calibrates.
        split: For int8: what errors are measured on before and after.
        runtime: For a browser: a folder with onnxruntime-web's files; by default npm fetches them.
        observer: Is told how many pictures are evaluated.

    Returns:
        `file`, `format`, `bytes`, `parity` (see `parity.compare`), and for int8 `int8`: bytes and errors before and
        after.

    Raises:
        UsageError: The output exists, its folder does not, the format cannot hold the network, or something is missing.
        ExportError: The runtime computes something else.
    """
    check_out(out)
    if plan.form == "browser":
        browser.check(runtime)
    network = classifier.model.to("cpu")
    if plan.form != "torch-export" and not isinstance(network, AlexNet):
        raise UsageError(f"{network.variant} is no AlexNet: it goes to --format torch-export only")
    inside = preprocessing(classifier) if plan.preprocesses else None
    facts: dict[str, Any] = {"file": str(out), "format": plan.form}

    def hold(content: bytes) -> Engine:
        name, run = _module(plan).engine(content)
        outside = None if inside else preprocessing(classifier)
        return Engine(name, run, outside, classifier.classes, classifier.stored_size, classifier.square)

    text = notes(classifier)
    if plan.is_onnx:
        lrn = plan.lrn or "native"
        graph = onnx_file.graph(network, lrn, inside, text)
        content = graph.SerializeToString()
        facts |= {"opset": onnx_file.OPSET, "lrn": lrn}
    else:
        content = _module(plan).build(network, inside, text)
    whole = hold(content)
    facts["parity"] = parity.compare(whole, classifier, samples, plan.resizes)
    parity.require(facts["parity"])
    if plan.int8:
        assert store is not None
        small = int8.calibrate(graph, _calibration(store, whole)).SerializeToString()
        rows = [_measure(each, hold(each), store, split, observer) for each in (content, small)]
        facts["int8"] = {"before": rows[0], "after": rows[1], "ratio": len(small) / len(content)}
        content = small
    elif plan.form == "browser":
        content = int8.round_weights(graph).SerializeToString()
        facts["rounded"] = parity.compare(hold(content), classifier, samples, any_size=False)
    if plan.form == "browser":
        facts["bytes"] = browser.write_folder(out, content, classifier, runtime)
        facts["network_bytes"] = len(content)
    else:
        write(out, content)
        facts["bytes"] = len(content)
    return facts


def check_out(out: Path) -> None:
    """Refuses a place that is taken or cannot be made.

    Raises:
        UsageError: It is.
    """
    if out.exists():
        raise UsageError(f"{out} exists already; give another --out")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}; make it first, or give another --out")


def notes(classifier: Classifier) -> dict[str, str]:
    """Gives what goes along with the network: names and text, JSON where it is not plain words."""
    header = classifier.header
    data = header.data or Dataset()
    said = [words(name) for name in classifier.classes]
    text = {
        "classes": json.dumps(classifier.classes),
        "words": json.dumps(said) if any(said) else None,
        "variant": classifier.model.variant,
        "input_size": str(classifier.model.input_size),
        "preprocessing": json.dumps(preprocessing(classifier).describe()),
        "licence": header.licence or data.licence or "not stated by the run or its data",
        "trained_on": data.name,
        "weights_crc32": str(header.crc32),
        "written_by": f"alexnet {__version__}",
    }
    return {key: str(value) for key, value in text.items() if value}


def _module(plan: Plan) -> Any:
    return onnx_file if plan.is_onnx else keras_file if plan.form == "keras" else program


def _measure(content: bytes, engine: Engine, store: Store, split: str, observer: Observer | None) -> dict[str, Any]:
    """Gives the bytes of a file and its errors."""
    errors, _ = evaluate([engine], store, split, observer=observer)
    return {"bytes": len(content), **{key: getattr(errors, key) for key in ("top1_error", "top5_error", "n", "split")}}


def _calibration(store: Store, engine: Engine) -> Iterator[NDArray[Any]]:
    """Gives what the file takes, of pictures spread over the training split, a few at a time."""
    split = store.splits["train"]
    chosen = np.linspace(0, len(split) - 1, min(CALIBRATION, len(split))).astype(int)
    for some in np.array_split(chosen, -(-len(chosen) // 16)):
        pictures = np.stack([split.read(int(i)) for i in some])
        yield engine.outside(pictures) if engine.outside else pictures

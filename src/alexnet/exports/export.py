"""From a trained network to a file for another runtime, compared with the network before it is written."""

import importlib.util
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet import __version__
from alexnet.data.imagenet import words
from alexnet.data.listing import spread
from alexnet.data.store import Store
from alexnet.errors import UsageError
from alexnet.evaluation.classifier import Classifier
from alexnet.evaluation.evaluate import evaluate
from alexnet.exports import browser, keras, onnx, program
from alexnet.exports.format import Format, Input, PreprocessingSteps
from alexnet.exports.parity import ExportedNetwork, Samples, compare, require
from alexnet.files import check_free, write
from alexnet.observer import Observer
from alexnet.records import Dataset, Exported, Int8, MeasuredFile

FORMATS = {entry.name: entry for entry in (onnx.FORMAT, keras.FORMAT, program.FORMAT, browser.FORMAT)}

CALIBRATION, BATCH = 128, 16
"""How many pictures, spread evenly over the training split, show how large activations are; and how many a batch."""


@dataclass(frozen=True)
class Plan:
    """How to export a network.

    Raises:
        UsageError: There is no such format or way to normalise, the format does not take a setting, or a package that
            it needs is not installed.
    """

    name: str  # of the format, a key of `FORMATS`
    lrn: str | None = None  # `native` or `decomposed`; None takes ONNX's operator where there is one
    preprocess: bool = False  # inside the file; for a browser that is always done
    int8: bool = False  # 8-bit integers, calibrated on pictures
    runtime: Path | None = None  # a folder with onnxruntime-web's files, for a browser; None fetches them by npm

    def __post_init__(self) -> None:
        if self.name not in FORMATS:
            raise UsageError(f"no format {self.name!r}; there are {', '.join(FORMATS)}")
        if self.lrn not in (None, *onnx.BUILDS):
            raise UsageError(f"no lrn {self.lrn!r}; there are {', '.join(onnx.BUILDS)}")
        if self.int8:
            self._require("int8", lambda entry: entry.quantise is not None)
        if self.lrn:
            self._require(f"lrn {self.lrn}", lambda entry: self.lrn in entry.builds)
        if self.runtime:
            self._require("runtime", lambda entry: entry.folder is not None)
        missing = [package for package in self.format.needs if importlib.util.find_spec(package) is None]
        if missing:
            raise UsageError(f"the format {self.name} needs {missing[0]}: pip install 'alexnet[export]'")

    def _require(self, setting: str, is_taken_by: Callable[[Format], bool]) -> None:
        able = [name for name, entry in FORMATS.items() if is_taken_by(entry)]
        if self.name not in able:
            formats = f"format{'s' * (len(able) > 1)} {' and '.join(able)}"
            raise UsageError(f"{setting} is for the {formats}, not for {self.name}")

    @property
    def format(self) -> Format:
        """The format."""
        return FORMATS[self.name]

    @property
    def suffix(self) -> str:
        """The end of the default name of what is written, after the name of the run."""
        return "-preprocess" * self.preprocess + "-int8" * self.int8 + self.format.suffix

    @property
    def takes_pictures(self) -> bool:
        """Whether pictures go in, rather than the network's input."""
        return self.preprocess or self.format.takes_pictures

    @property
    def normalisation(self) -> str:
        """The way to normalise, a key of the format's builds."""
        return self.lrn or next(iter(self.format.builds))


def export(
    classifier: Classifier,
    plan: Plan,
    out: Path,
    samples: Samples,
    store: Store | None = None,
    split: str = "val",
    observer: Observer | None = None,
) -> Exported:
    """Writes a network, in float32, for another runtime; whole or not at all.

    The runtime must agree with the network on `samples`. For int8, the training split of `store` calibrates, and errors
    are measured on its `split` before and after, of which `observer` is told.

    Raises:
        UsageError: The place is taken, the format cannot hold the network, or the runtime or a store is missing.
        ExportError: The runtime computes something else than the network.
    """
    check_free(out)
    if plan.int8 and store is None:
        raise UsageError("int8 is calibrated on pictures: name the data")
    form = plan.format
    runtime = form.folder.fetch(plan.runtime) if form.folder else {}
    final = whole = _build(classifier, plan)
    parity, int8, rounded = compare(whole, samples, plan.takes_pictures and form.resizes), None, None
    require(parity)
    if plan.int8 and store and form.quantise:
        final = _load(form.quantise(whole.content, _calibration(store, whole)), classifier, plan)
        before, after = (_measure(each, store, split, observer) for each in (whole, final))
        int8 = Int8(before=before, after=after, ratio=after.bytes / before.bytes)
    elif form.round:
        final = _load(form.round(whole.content), classifier, plan)
        rounded = compare(final, samples, any_size=False)
    if form.folder:
        size = form.folder.write(out, final.content, classifier, runtime)
    else:
        size = len(final.content)
        write(out, final.content)
    return Exported(
        file=str(out),
        format=form.name,
        opset=form.opset,
        lrn=plan.normalisation if form.opset else None,
        parity=parity,
        int8=int8,
        rounded=rounded,
        bytes=size,
        network_bytes=len(final.content) if form.folder else None,
    )


def notes(classifier: Classifier) -> dict[str, str]:
    """Returns the metadata of the file: names and text, which is JSON where it is more than plain words."""
    header, in_words = classifier.header, [words(name) for name in classifier.classes]
    data = header.data or Dataset()
    text = {
        "classes": json.dumps(classifier.classes),
        "words": json.dumps(in_words) if any(in_words) else None,
        "variant": classifier.model.variant,
        "input_size": str(classifier.model.input_size),
        "preprocessing": json.dumps(PreprocessingSteps.of(classifier).describe()),
        "licence": header.licence or data.licence or "not stated by the run or its data",
        "trained_on": data.name,
        "weights_crc32": str(header.crc32),
        "written_by": f"alexnet {__version__}",
    }
    return {key: value for key, value in text.items() if value}


def _build(classifier: Classifier, plan: Plan) -> ExportedNetwork:
    network, form = classifier.model.to("cpu"), plan.format
    if not isinstance(network, form.networks):
        able = " or ".join(name for name, entry in FORMATS.items() if isinstance(network, entry.networks))
        raise UsageError(f"{network.variant} is no AlexNet: it can only be exported as {able}")
    inside = PreprocessingSteps.of(classifier) if plan.takes_pictures else None
    return _load(form.builds[plan.normalisation](network, inside, notes(classifier)), classifier, plan)


def _load(content: bytes, classifier: Classifier, plan: Plan) -> ExportedNetwork:
    outside = None if plan.takes_pictures else PreprocessingSteps.of(classifier)
    return ExportedNetwork(classifier, content, plan.format.engine(content), outside)


def _measure(network: ExportedNetwork, store: Store, split: str, observer: Observer | None) -> MeasuredFile:
    errors, _ = evaluate([network], store, split, observer=observer)
    size, top1, top5 = len(network.content), errors.top1_error, errors.top5_error
    return MeasuredFile(bytes=size, top1_error=top1, top5_error=top5, n=errors.n, split=errors.split)


def _calibration(store: Store, network: ExportedNetwork) -> Iterator[Input]:
    split = store.splits["train"]
    chosen = spread(len(split), CALIBRATION)
    for some in np.array_split(chosen, -(-len(chosen) // BATCH)):
        yield network.input(np.stack([split.read(int(i)) for i in some]))

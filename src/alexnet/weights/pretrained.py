"""A folder as Hugging Face's tools have it, made and read without any of them.

`config.json`               architecture, variant, names of the outputs (`id2label`, `label2id`)
`model.safetensors`         our weight file, whole: it alone is enough for `alexnet.load(folder)`
`preprocessor_config.json`  resize, crop, rescale and normalise in the terms of their image processors
`README.md`                 the model card
"""

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from html import escape
from pathlib import Path

import numpy as np
from msgspec import structs, to_builtins
from numpy.typing import NDArray

from alexnet.data.augment import margin
from alexnet.data.labels import in_words, labels
from alexnet.errors import printable
from alexnet.files import check_new, plain_errors, write
from alexnet.models.network import Network
from alexnet.models.variants import row
from alexnet.records import Conversion, Dataset, Evaluation, Header, Metrics
from alexnet.weights import checkpoint, manifest

_WEIGHTS = "model.safetensors"

_BILINEAR = 2  # Pillow's number, which their image processors use
_Json = dict[str, object]  # a JSON object in the terms of Hugging Face's tools, written and never read
_Errors = Metrics | Evaluation


def save(
    folder: Path,
    model: Network,
    mean: NDArray[np.float32],
    header: Header,
    licence: str | None = None,
    evaluation: Evaluation | None = None,
) -> None:
    """Makes the folder, whole or not at all.

    Args:
        folder: New or empty.
        model: In float32.
        mean: (S, S, 3) mean image, 0..255.
        header: Header of the weight file that the network comes from. The machine that trained, its name for the data
            and the files left out there are not published.
        licence: Licence of the weights, as Hugging Face names it, such as `bsd-3-clause`; None where nobody states it.
        evaluation: Errors that stand in the card before those of the header.

    Raises:
        UsageError: The folder holds something already, or cannot be written.
        DataError: The disk is full.
    """
    check_new(folder)
    data = structs.replace(header.data, source=None, quarantine=()) if header.data else None
    header = structs.replace(header, machine=None, data=data)
    with _whole(folder.absolute()) as draft:
        jsons = {"config": _config(model, header), "preprocessor_config": _preprocessor(model, mean, header)}
        for name, value in jsons.items():
            write(draft / f"{name}.json", json.dumps(value, indent=1) + "\n")
        write(draft / "README.md", _card(draft.name, model, header, licence, evaluation or header.metrics))
        with manifest.renewed(draft / _WEIGHTS):
            checkpoint.save(draft / _WEIGHTS, model, mean, header)


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Yields a draft of a folder, which takes its name when it is whole; an error removes it."""
    with plain_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        is_there = folder.exists()
        with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder if is_there else folder.parent) as work:
            draft = Path(work) / folder.name
            draft.mkdir()
            yield draft
            if not is_there:
                draft.rename(folder)
                return
            # The folder may be someone's working directory or a mount point, so it stays, and the files move into it.
            for path in list(draft.iterdir()):
                path.rename(folder / path.name)


def _config(model: Network, header: Header) -> _Json:
    """Returns the entries that Hugging Face's tools read, and our design and preprocessing."""
    label = labels(header.classes)
    return {
        "architectures": [type(model).__name__],
        "model_type": "alexnet",
        "image_size": model.input_size,
        "num_channels": 3,
        "id2label": {str(i): label[name] for i, name in enumerate(header.classes)},
        "label2id": {label[name]: i for i, name in enumerate(header.classes)},
        "torch_dtype": "float32",
        **asdict(model.design),
        "preprocessing": to_builtins(header.preprocessing),
    }


def _preprocessor(model: Network, mean: NDArray[np.float32], header: Header) -> _Json:
    """Returns the preprocessing: (pixel / 255 - image_mean) / image_std is (pixel - mean) / divide_pixels_by.

    Differs: their processors subtract one colour. Here it is the average of the mean image over the centre view.
    """
    side, size = len(mean), model.input_size
    view = slice(margin(side, size), margin(side, size) + size)
    colour = mean[view, view].mean((0, 1), dtype=np.float64)
    is_warped = header.preprocessing.square == "warp"
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": side, "width": side} if is_warped else {"shortest_edge": side},
        "resample": _BILINEAR,
        "do_center_crop": True,
        "crop_size": {"height": size, "width": size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [float(value) / 255 for value in colour],
        "image_std": [header.preprocessing.divide_pixels_by / 255] * 3,
    }


def _card(name: str, model: Network, header: Header, licence: str | None, measured: _Errors | None) -> str:
    """Returns the model card: YAML for machines, then text, which also says what is not known.

    Names come from strangers' folders and files, so each is kept to one line and none is markup.
    """
    data, converted, classes = header.data or Dataset(), header.converted, header.classes
    source = data.name or (f"the data of {converted.file}" if converted else "data that it does not name")
    front = {
        "license": licence or "other",
        **({} if licence else {"license_name": "not-stated"}),
        "library_name": "alexnet",
        "pipeline_tag": "image-classification",
        "tags": list(dict.fromkeys(["image-classification", "alexnet", model.variant])),
        "metrics": ["accuracy"],
        "model-index": [{"name": name, "results": _results(source, measured)}],
    }
    yaml = "\n".join(f"{key}: {_json(value)}" for key, value in front.items())  # JSON is YAML
    shown = ", ".join(_text(in_words(name)) for name in classes[:10]) + (
        f", ... ({len(classes):,} in all)" if len(classes) > 10 else ""
    )
    paragraphs = [
        f"# {_text(name)}",
        f"`{model.variant}`: {row(model.variant).about}. "
        f"{sum(p.numel() for p in model.parameters()):,} parameters, input {model.input_size} x {model.input_size}.",
        f"Classes: {shown}.",
        _origin(source, data, converted),
        f"Licence of the weights: {_text(licence or 'not stated by whoever saved them; ask before you use them')}.",
        "## How well",
        _table(measured),
        "## Use",
        f"```python\nimport alexnet\n\nclassifier = alexnet.load({_json(name)})\n"
        'probabilities = classifier.probabilities(classifier.read(["picture.jpg"]))  # (1, classes)\n```',
        "`model.safetensors` carries classes, preprocessing and the outputs that loading must find again. Its mean "
        "image is subtracted pixel by pixel; `preprocessor_config.json` has one mean colour, as its readers want it.",
    ]
    return "\n\n".join([f"---\n{yaml}\n---", *paragraphs]) + "\n"


def _origin(source: str, data: Dataset, converted: Conversion | None) -> str:
    if converted:
        return (
            f"Converted from {_text(converted.dialect)} weights, {_text(converted.file)} "
            f"(SHA-256 {_text(converted.sha256)}). "
            f"Not known: {'; '.join(map(_text, converted.not_known)) or 'nothing'}."
        )
    counts = ", ".join(f"{count:,} {_text(split)}" for split, count in data.counts.items())
    return (
        f"Trained on {_text(source)}: {counts or 'numbers of pictures not recorded'}; licence of the data: "
        f"{_text(data.licence or 'not stated')}; hash {_text(data.hash or 'not recorded')}."
    )


def _table(measured: _Errors | None) -> str:
    if not measured:
        return "Not measured: the weight file records no errors. `alexnet evaluate` measures them."
    return (
        f"| measure | value |\n|---|---:|\n| top-1 error | {measured.top1_error:.2%} |\n"
        f"| top-5 error | {measured.top5_error:.2%} |\n\nProtocol: {_text(_protocol(measured))}."
    )


def _protocol(measured: _Errors) -> str:
    return f"split {measured.split}, {measured.n:,} pictures, {measured.views} view(s)"


def _results(source: str, measured: _Errors | None) -> list[_Json]:
    if not measured:
        return []
    metrics = [
        {"type": "accuracy", "name": f"{title} accuracy, {_protocol(measured)}", "value": 1 - error}
        for title, error in (("top-1", measured.top1_error), ("top-5", measured.top5_error))
    ]
    dataset = {"name": source, "type": "image-folder", "split": measured.split}
    return [{"task": {"type": "image-classification"}, "dataset": dataset, "metrics": metrics}]


def _json(value: object) -> str:
    return printable(json.dumps(value, ensure_ascii=False))


def _text(name: object) -> str:
    """Returns a name as one line that neither Markdown nor HTML takes for more than text."""
    return re.sub(r"([\\`*_\[\]#|~$!])", r"\\\1", escape(printable(str(name)), quote=False))

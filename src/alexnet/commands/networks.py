"""The commands that describe, fetch or transform networks: summary, convert, weights, compress and export."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import structs

from alexnet.commands import arguments
from alexnet.commands.arguments import About, Place, documented
from alexnet.commands.measuring import own_data
from alexnet.commands.results import Compressed, Converted, Fetched
from alexnet.errors import UsageError
from alexnet.files import cache, check_free
from alexnet.progress import Display, interruptible
from alexnet.records import Exported

if TYPE_CHECKING:
    from alexnet.models.summary import Summary
    from alexnet.weights.public import PublicWeights

CONVERTIBLE = (
    "a .caffemodel, a .pth or .safetensors of torchvision's alexnet, a checkpoint of cuda-convnet, or a folder of these"
)
MEANS = "mean image, a .binaryproto, .npy or batches.meta; ImageNet's mean colour by default"
CLASSES = "file with a class a line in the outputs' order; imagenet-devkit; imagenet-wordnet; the program's by default"
COMPRESSED = "folder to make, or file if it ends in .compressed; by default a folder beside the run, RUN-compressed"
FORMATS = (
    "onnx, keras, torch-export; browser, a folder for any web server; or huggingface, a folder with our weights, its "
    "config and a model card"
)
PREPROCESS = "take uint8 pictures (N, H, W, 3) of any size (torch-export: of the stored size); a browser always does"
NORMALISATION = "normalisation as ONNX's operator (native, the default), or of plain operations for runtimes without it"
INT8 = "for onnx and browser: 8-bit integers, calibrated on training pictures; errors are measured before and after"
RUNTIME = "for browser: folder with the files of onnxruntime-web; npm fetches them by default"


@documented
def summary(
    *,
    variant: arguments.Variant = "alexnet",
    input_size: arguments.InputSize | None = None,
    classes: Annotated[int, About("C", "outputs; 1000 by default, of CIFAR's networks 10")] | None = None,
) -> "Summary":
    """Describes a network's layers: their shapes, parameters and multiply-adds.

    Raises:
        UsageError: There is no such network.
    """
    import torch

    from alexnet.models.create import create
    from alexnet.models.summary import summary as summarise

    with torch.device("meta"):
        model = create(variant, input_size=input_size, classes=classes, initialisation="none")
    return summarise(model)


@documented
def convert(
    source: Annotated[Place, About("SOURCE", CONVERTIBLE)],
    dest: arguments.NewRun,
    *,
    mean: Annotated[Place, About("FILE", MEANS)] | None = None,
    classes: Annotated[Place, About("FILE", CLASSES)] | None = None,
    variant: Annotated[str, About("V", "which network, where the file does not tell")] | None = None,
) -> Converted:
    """Turns weights of Caffe, torchvision or cuda-convnet into a run folder.

    Raises:
        UsageError: The file does not exist, the folder holds something, or an argument does not fit.
        CheckpointError: The file is damaged or no AlexNet.
    """
    from alexnet.foreign import convert as foreign

    mean, classes = None if mean is None else Path(mean), None if classes is None else str(classes)
    description = foreign.convert(Path(source), Path(dest), mean=mean, classes=classes, variant=variant)
    return Converted(run=str(dest), **structs.asdict(description))


@documented
def weights(
    action: Annotated[Literal["list", "get"], About(None, "list them, or get one")],
    name: Annotated[str, About("WEIGHTS", "which to fetch")] | None = None,
    *,
    file: Annotated[Place, About("FILE", "take this file, fetched by other means, and check it")] | None = None,
    out: Annotated[Place, About("DIR", "folder to keep it in; $ALEXNET_CACHE/weights by default")] | None = None,
    observer: arguments.Watcher = None,
) -> "PublicWeights | Fetched":
    """Lists the public weights, or fetches some.

    Raises:
        UsageError: An argument is missing, does not fit, or names nothing.
        CheckpointError: The file is another one than was published.
    """
    from alexnet.weights import public

    if action == "list":
        if name or file or out:
            raise UsageError("list takes no name, `file` or `out`; alexnet weights get NAME fetches")
        return public.PublicWeights(weights=public.PUBLIC)
    if not name:
        raise UsageError(f"get takes a name; there are {', '.join(public.PUBLIC)}")
    row, observer = public.find(name), observer or Display()
    observer.began("fetching", "B")
    folder = cache() / "weights" if out is None else Path(out)
    path = public.get(row, folder, None if file is None else Path(file), observer.advanced)
    return Fetched(
        name=name,
        file=str(path),
        checksum=row.checksum,
        is_checked=row.checksum is not None,
        is_network=row.top1_error is not None,
    )


@documented
def compress(
    run: arguments.Network,
    *,
    out: Annotated[Place, About("OUT", COMPRESSED)] | None = None,
    keep: Annotated[float, About("SHARE", "fraction of the weights of fc6 and fc7 that stay; smaller is less")] = 0.08,
    epochs: Annotated[float, About("E", "epochs of training after pruning; a third of it again after sharing")] = 12.0,
    data: arguments.OwnData | None = None,
    split: arguments.Split | None = None,
    on_bad_image: arguments.OnBadImage = "skip",
    observer: arguments.Watcher = None,
) -> Compressed:
    """Makes a network's file 30 times smaller: prunes, shares weights, and writes Huffman codes.

    This is Deep Compression (Han, Mao, Dally 2016): the smallest weights are removed and the others trained; then
    weights share a few values, which are trained too; and the result is written in Huffman codes. Size and errors are
    measured after every step. It takes about as long as 16 epochs of training; run it again to go on after Ctrl-C. The
    commands predict and evaluate read the result like any run.

    Raises:
        UsageError: The file was made by another request, the data have other classes, or the network is no AlexNet.
        CheckpointError: The weights or the work folder are damaged.
        TrainingError: The loss is not finite any more.
    """
    from alexnet import machine
    from alexnet.compression import compress as compression
    from alexnet.data.open import default_split
    from alexnet.evaluation.classifier import weight_file
    from alexnet.weights import checkpoint, compressed

    machine.keep_memory()
    observer, weights = observer or Display(), weight_file(run)
    if compressed.is_compressed(weights):
        raise UsageError(f"{weights} is compressed already")
    place = Path(f"{_beside(run, weights).resolve()}-compressed" if out is None else out)
    place = place if place.suffix == compressed.SUFFIX else place / compressed.NAME
    store = own_data(checkpoint.load(weights), data, on_bad_image, observer)
    plan = compression.Plan(keep, epochs, split or default_split(store))
    with interruptible(observer):
        table = compression.compress(weights, store, place, plan, observer)
    if table is None:
        return Compressed(file=str(place), complete=False)
    return Compressed(file=str(place), bytes=place.stat().st_size, complete=True, split=plan.split, table=table)


@documented
def export(
    run: arguments.Network,
    *,
    format: Annotated[Literal["onnx", "keras", "torch-export", "browser", "huggingface"], About("F", FORMATS)],
    out: Annotated[Place, About("OUT", "file or folder to make; beside the run by default")] | None = None,
    preprocess: Annotated[bool, About(None, PREPROCESS)] = False,
    lrn: Annotated[Literal["native", "decomposed"], About(None, NORMALISATION)] | None = None,
    int8: Annotated[bool, About(None, INT8)] = False,
    data: arguments.OwnData | None = None,
    split: arguments.Split | None = None,
    runtime: Annotated[Place, About("DIR", RUNTIME)] | None = None,
    on_bad_image: arguments.OnBadImage = "skip",
    observer: arguments.Watcher = None,
) -> Exported:
    """Writes a network for ONNX, Keras, torch.export, a browser or Hugging Face, and compares it there.

    The network is run there on real JPEG files. Where its numbers differ from ours by more than 1e-4 of the output, no
    file is written. Input: RGB float (N, 3, S, S), for Keras (N, S, S, 3), or with `preprocess` the pictures
    themselves; output: probabilities. Needs: pip install 'alexnet[export]'.

    Raises:
        UsageError: The output exists, the format cannot hold the network, or an argument does not fit it.
        ExportError: The other runtime computes something else.
        CheckpointError: The network is missing, damaged or untrained.
    """
    from alexnet import machine
    from alexnet.data.open import default_split
    from alexnet.evaluation.classifier import load, weight_file
    from alexnet.exports import export as exports
    from alexnet.exports.parity import samples

    if split is not None and not int8:
        raise UsageError("`split` is for `int8`; leave it away")
    machine.keep_memory()
    observer, beside = observer or Display(), _beside(run, weight_file(run))
    if format == "huggingface":
        if int8 or lrn or preprocess or data:
            needless = "`int8`, `lrn`, `preprocess`, `data`"
            raise UsageError(f"huggingface keeps the weights as they are: leave {needless} away")
        return _publish(run, beside, Path(f"{beside.resolve()}-huggingface" if out is None else out))
    plan = exports.Plan(format, lrn, preprocess, int8, None if runtime is None else Path(runtime))
    place = Path(f"{beside.resolve()}{plan.suffix}" if out is None else out)
    check_free(place)
    network, pictures, store = load(run, numbers="float32"), samples(beside, None if data is None else str(data)), None
    if int8:
        store = own_data(network, data, on_bad_image, observer)
        observer.began("evaluating")
        split = split or default_split(store)
    return exports.export(network, plan, place, pictures, store, split or "val", observer)


def _beside(run: Place, weights: Path) -> Path:
    """Returns what results are named after: the run folder, a weight file's path without its ending, or the name."""
    from alexnet.weights import box

    return Path(run) if box.find(run) else weights.parent if Path(run).is_dir() else weights.with_suffix("")


def _publish(run: Place, folder: Path, out: Path) -> Exported:
    """Writes a folder as Hugging Face's tools have it, its card with the run's last evaluation."""
    from alexnet.evaluation.classifier import load
    from alexnet.run import Run

    evaluation = Run(folder).evaluation()
    if evaluation and evaluation.precision not in (None, "auto", "float32"):
        evaluation = None  # The card describes the weights as they are; their own errors stand in their header.
    load(run, numbers="float32").save_pretrained(out, evaluation=evaluation)
    return Exported(file=str(out), format="huggingface", bytes=sum(path.stat().st_size for path in out.iterdir()))

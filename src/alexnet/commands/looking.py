"""The commands that look at pictures through a trained network: features."""

import time
from pathlib import Path
from typing import Annotated, Literal

from alexnet.commands import arguments
from alexnet.commands.arguments import About, Place, documented
from alexnet.commands.measuring import Numbers, own_data
from alexnet.commands.results import Extracted
from alexnet.progress import Display

LAYER = "layer to take, such as fc6, conv5 or pool5, behind its ReLU as in Caffe; by default what the last layer reads"
FEATURES = "file to make, in the format of its ending: .npz, .safetensors or .parquet"
OF_SPLIT = "split to take: train, val, train+val ...; all by default"


@documented
def features(
    run: arguments.Network,
    source: Annotated[Place, About("SOURCE", f"{arguments.SOURCES}; {arguments.PACKED}")],
    *,
    out: Annotated[Place, About("FILE", FEATURES)],
    layer: Annotated[str, About("LAYER", LAYER)] | None = None,
    views: Annotated[Literal[1, 10], About(None, "views to average over: 1, the centre, or the paper's 10")] = 1,
    split: Annotated[str, About("SPLIT", OF_SPLIT)] | None = None,
    precision: Numbers = "auto",
    on_bad_image: arguments.OnBadImage = "skip",
    observer: arguments.Watcher = None,
) -> Extracted:
    """Writes what a layer gives on every picture, for other programs: AlexNet's 4096 features of fc7, or any other.

    The file also holds the names and labels of the pictures, and an account of the network, its preprocessing and the
    data.

    Raises:
        UsageError: There is no such layer, split or source, or the file exists or has another ending.
        CheckpointError: The network is missing, damaged or untrained.
        DataError: The data cannot serve, or the disk is full.
    """
    from alexnet import machine
    from alexnet.evaluation import feature_files
    from alexnet.evaluation import features as extraction
    from alexnet.evaluation.classifier import load, weight_file

    machine.keep_memory()
    observer, path = observer or Display(), Path(out)
    feature_files.check_out(path)
    classifier = load(run, numbers=precision)
    name = extraction.layer_of(classifier.model, layer)
    store = own_data(classifier, source, on_bad_image, observer)
    account = feature_files.account(classifier, weight_file(run), store, name, views, split)
    observer.began("extracting features")
    start = time.monotonic()
    batches = extraction.features(classifier, store, name, views, tuple(account.splits), observer)
    shape = feature_files.save(path, account, store, batches)
    return Extracted(
        file=str(path),
        layer=name,
        shape=shape,
        seconds=time.monotonic() - start,
        bytes=path.stat().st_size,
        quarantine=store.quarantine,
    )

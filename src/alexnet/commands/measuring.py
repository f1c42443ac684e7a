"""The commands that pack and measure: `pack`, `claim`, `bench` and `doctor`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from alexnet.commands.arguments import Bench, Budget, Folder, Name, Number, OnBadImage, Pixels, Source, Store, Variant
from alexnet.commands.results import Claimed, Claims, Packed
from alexnet.config import Value
from alexnet.errors import UsageError
from alexnet.observer import Observer
from alexnet.progress import Display, interruptible

if TYPE_CHECKING:
    from alexnet.benches import Bench as Measured
    from alexnet.benches.doctor import Examination


def pack(
    source: Source,
    store: Store,
    *,
    size: Pixels = 256,
    seed: Number = 0,
    on_bad_image: OnBadImage = "skip",
    observer: Observer | None = None,
) -> Packed:
    """Decodes, resizes and packs a source of pictures, once; run it again to resume.

    Args:
        source: A folder (or .tar) with one folder of pictures a class, or with train/ and val/ or test/ folders of
            those; the folder of the ILSVRC-2012 archives; a CIFAR python archive; or solar-cells, which the extra of
            that name installs.
        store: Folder to make.
        size: Side of the stored pictures, pixels.
        seed: Seed of the held-out quarter, if the source has no split.
        on_bad_image: skip lists a picture that cannot be read in the quarantine, stop ends with it.
        observer: Is told how many pictures are done.

    Raises:
        UsageError: There is no such source, or the folder holds something else.
        DataError: The source cannot serve, or the disk is full.
    """
    from alexnet.data.pack import pack as pack_source
    from alexnet.data.sources import open_source

    observer = observer or Display()
    observer.began("packing")
    packed = pack_source(
        open_source(source, seed=seed),
        store,
        size=size,
        on_bad_image=on_bad_image,
        progress=observer.advanced,
        retry=True,
    )
    return Packed(
        store=str(packed.directory),
        classes=packed.classes,
        counts={name: len(split) for name, split in packed.splits.items()},
        ignored=packed.ignored,
        quarantine=tuple(packed.quarantine),
        hash=packed.content_hash,
    )


def claim(
    name: Name | None = None,
    *,
    list: bool = False,
    data: Source = "solar-cells",
    budget: Budget = "quick",
    seeds: Annotated[int, "K"] | None = None,
    out: Folder = "runs/claims",
    observer: Observer | None = None,
    **settings: Value,
) -> Claims | Claimed:
    """Puts a claim of the lecture to the test, on your own data.

    Trains a network with and without what the lecture praises, with paired seeds, and says whether the difference is
    there: 'confirmed here', 'not seen here' or 'opposite here', with a 95 % interval. It says before it starts what it
    will cost and how weak the evidence will be. After Ctrl-C the same command goes on; what is trained is not trained
    again, and claims share the networks they have in common. Writes DIR/NAME/claim.html and claim.json.

    Args:
        name: Which claim; see `list`.
        list: List the claims: where they are made, what was measured.
        data: Pictures, as `train` takes them.
        budget: quick takes minutes, standard half an hour to two hours, full days.
        seeds: Networks an arm; quick 1, else 3; relu 1, 1, 3; ensemble 2, 3, 5 by default.
        out: Folder of all experiments.
        observer: Is told how it goes, and may stop it.
        settings: Settings to change in every arm.

    Raises:
        UsageError: A name or a setting is unknown, there are too few seeds, or the question has no meaning here.
        DataError: The data cannot serve.
    """
    from alexnet.claims.table import CLAIMS

    if list:
        return Claims(claims=CLAIMS)
    if name is None:
        raise UsageError(f"claim takes a name, one of {', '.join(CLAIMS)}; alexnet claim --list tells more")
    from alexnet import machine
    from alexnet.claims.conduct import PAGE, conduct
    from alexnet.claims.experiment import Request
    from alexnet.claims.laboratory import Stopped
    from alexnet.data.open import from_anywhere, refuse_inside

    machine.keep_memory()
    source, folder, observer = from_anywhere(data), Path(out), observer or Display()
    refuse_inside(folder, source)
    request = Request(name, source, budget, seeds, folder, settings)
    with interruptible(observer):
        try:
            result = conduct(request, observer)
        except Stopped:
            result = None
    return Claimed(request, result, str(folder / name / PAGE))


def bench(
    what: Bench = "all", *, per_layer: bool = False, data: Source | None = None, observer: Observer | None = None
) -> "Measured":
    """Measures speed beside other implementations and this machine's limits.

    Args:
        what: Which bench.
        per_layer: Time each layer against its floors.
        data: Pictures for the bench of that name; made up by default.
        observer: Is told what is being measured.

    Raises:
        UsageError: There is no such data.
        DataError: The data cannot be read.
    """
    from alexnet import benches

    return benches.run(
        what, data=None if data is None else str(data), per_layer=per_layer, observer=observer or Display()
    )


def doctor(
    *, data: Source | None = None, variant: Variant = "alexnet", observer: Observer | None = None
) -> "Examination":
    """Says what this machine has, and what would bound training on this data.

    Args:
        data: Pictures to measure with; made up by default.
        variant: Network to measure with.
        observer: Is told what is being measured.

    Raises:
        UsageError: There is no such network or data.
        DataError: The data cannot be read.
    """
    from alexnet.benches import doctor as examination
    from alexnet.data.open import from_anywhere

    return examination.examine(None if data is None else from_anywhere(data), variant, observer or Display())

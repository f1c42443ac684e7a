"""The commands that pack and measure: `pack`, `claim`, `bench` and `doctor`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from alexnet.commands.arguments import (
    About,
    OnBadImage,
    Pictures,
    Place,
    SomeData,
    TrainingData,
    Variant,
    Watcher,
    documented,
)  # fmt: skip
from alexnet.commands.results import Claimed, Claims, Packed
from alexnet.config import Value
from alexnet.errors import UsageError
from alexnet.progress import Display, interruptible

if TYPE_CHECKING:
    from alexnet.benches import Bench as Measured
    from alexnet.benches.doctor import Examination


BUDGETS = "quick takes minutes, standard half an hour to two hours, full days"
SEEDS = "networks an arm; by default quick 1, else 3; relu 1, 1, 3; ensemble 2, 3, 5"


@documented
def pack(
    source: Pictures,
    store: Annotated[Place, About("STORE", "folder to make")],
    *,
    size: Annotated[int, About("S", "side of the stored pictures, pixels")] = 256,
    seed: Annotated[int, About("S", "seed of the held-out quarter, if the source has no split")] = 0,
    on_bad_image: OnBadImage = "skip",
    observer: Watcher = None,
) -> Packed:
    """Decodes, resizes and packs a source of pictures, once; run it again to resume.

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


@documented
def claim(
    name: Annotated[str, About("NAME", "which claim; see `list`")] | None = None,
    *,
    list: Annotated[bool, About(None, "list the claims: where they are made, what was measured")] = False,
    data: TrainingData = "solar-cells",
    budget: Annotated[Literal["quick", "standard", "full"], About(None, BUDGETS)] = "quick",
    seeds: Annotated[int, About("K", SEEDS)] | None = None,
    out: Annotated[Place, About("DIR", "folder of all experiments")] = "runs/claims",
    observer: Watcher = None,
    **settings: Annotated[Value, About("NAME=VALUE", "settings to change in every arm")],
) -> Claims | Claimed:
    """Puts a claim of the lecture to the test, on your own data.

    Trains a network with and without what the lecture praises, with paired seeds, and says whether the difference is
    there: 'confirmed here', 'not seen here' or 'opposite here', with a 95 % interval. It says before it starts what it
    will cost and how weak the evidence will be. After Ctrl-C the same command goes on; what is trained is not trained
    again, and claims share the networks they have in common. Writes DIR/NAME/claim.html and claim.json.

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


@documented
def bench(
    what: Annotated[Literal["lrn", "train", "data", "predict", "parallel", "all"], About(None, "which bench")] = "all",
    *,
    per_layer: Annotated[bool, About(None, "time each layer against its floors")] = False,
    data: SomeData | None = None,
    observer: Watcher = None,
) -> "Measured":
    """Measures speed beside other implementations and this machine's limits.

    Raises:
        UsageError: There is no such data.
        DataError: The data cannot be read.
    """
    from alexnet import benches

    return benches.run(
        what, data=None if data is None else str(data), per_layer=per_layer, observer=observer or Display()
    )


@documented
def doctor(*, data: SomeData | None = None, variant: Variant = "alexnet", observer: Watcher = None) -> "Examination":
    """Says what this machine has, and what would bound training on this data.

    Raises:
        UsageError: There is no such network or data.
        DataError: The data cannot be read.
    """
    from alexnet.benches import doctor as examination
    from alexnet.data.open import from_anywhere

    return examination.examine(None if data is None else from_anywhere(data), variant, observer or Display())

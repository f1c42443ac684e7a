"""The command that says what is wrong with a collection of pictures."""

from pathlib import Path
from typing import Annotated

from msgspec import structs

from alexnet.commands import arguments
from alexnet.commands.arguments import About, Place, documented
from alexnet.commands.measuring import own_data
from alexnet.files import check_new, make_folder, write
from alexnet.progress import Display
from alexnet.records import Audit, sealed

SOURCE = f"pictures to examine: {arguments.SOURCES}; {arguments.PACKED}"
MODEL = "network whose features describe the pictures: a run folder, a weight file, or the one of the package"
OUT = "folder to make, with a page, audit.json, findings.csv, groups.csv, exclude.csv and suspects.csv"


@documented
def audit(
    source: Annotated[Place, About("SOURCE", SOURCE)],
    *,
    model: Annotated[Place, About("RUN", MODEL)] = "tiny-imagenet",
    out: Annotated[Place, About("DIR", OUT)] = "audit",
    observer: arguments.Watcher = None,
) -> Audit:
    """Says what is wrong with pictures: copies across splits, wrong labels, pictures that show nothing; and the cost.

    Leaks are priced: how much smaller they make the error look, with the interval. `exclude.csv` lists what to leave
    out, for `exclude` of pack and train. The pictures are only read. After an interruption the same command goes on.
    From a shell, it ends with code 1 where a picture is repeated, unreadable or odd.

    Raises:
        UsageError: There is no such source, or the folder exists.
        CheckpointError: The network is missing, damaged or untrained.
        DataError: The data cannot serve, or the disk is full.
    """
    from alexnet import machine
    from alexnet.auditing import tables
    from alexnet.auditing.audit import audit as examine
    from alexnet.auditing.odd import sizes_of
    from alexnet.auditing.page import audit_page
    from alexnet.data.manifest import is_store
    from alexnet.data.open import from_anywhere, refuse_inside
    from alexnet.data.remote import is_remote
    from alexnet.data.sources import open_source
    from alexnet.evaluation.classifier import load

    machine.keep_memory()
    observer, folder = observer or Display(), Path(out)
    check_new(folder)
    refuse_inside(folder, from_anywhere(source))
    classifier = load(model)
    store = own_data(classifier, source, "skip", observer, is_measured=True)
    is_packed = is_remote(source) or is_store(source)
    sizes = {} if is_packed else sizes_of(open_source(source, is_measured=True).splits, observer)
    page = folder / "index.html"
    result = structs.replace(examine(classifier, store, str(model), sizes, observer), page=str(page))
    make_folder(folder)
    write(folder / "findings.csv", tables.findings(result))
    write(folder / "groups.csv", tables.groups(result))
    write(folder / "exclude.csv", tables.table(tables.exclusions(result)))
    write(folder / "suspects.csv", tables.table(tables.suspected(result)))
    write(page, audit_page(result, store).render())
    write(folder / "audit.json", sealed(result) + "\n")
    return result

"""The command for teaching: lecture."""

import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import structs

from alexnet.commands import arguments
from alexnet.commands.arguments import About, Place, documented
from alexnet.files import check_new
from alexnet.observer import Observer
from alexnet.progress import Display

if TYPE_CHECKING:
    from alexnet.lecturing.site import Written

SITE = "folder to make, for any web server or to be opened as a file; without it the lecture is served until Ctrl-C"
OPEN = "serve the lecture on this machine and show it in the browser, even if a folder is made"


@documented
def lecture(
    *,
    run: arguments.Network = "tiny-imagenet",
    out: Annotated[Place, About("DIR", SITE)] | None = None,
    open: Annotated[bool, About(None, OPEN)] = False,
    observer: arguments.Watcher = None,
) -> "Written":
    """Shows the whole lecture as a page on which a network runs, and every slide can be touched.

    The page needs no network connection: it computes in the browser, and pictures stay there. With a run folder it
    shows test pictures of the run.

    Raises:
        UsageError: The folder holds something or cannot be written.
        CheckpointError: The network is missing, damaged or untrained.
        DataError: The disk is full.
    """
    from alexnet.evaluation.classifier import load
    from alexnet.lecturing.server import serving
    from alexnet.lecturing.site import write_site
    from alexnet.run import Run

    observer = observer or Display()
    with _folder(out) as folder:
        classifier, examples = load(run, numbers="float32"), Run(run).examples() if Path(run).is_dir() else None
        pictures = {f"{each.label} ({each.name})": each.jpeg for each in examples.sample} if examples else None
        written = write_site(folder, Path(run).name, classifier, pictures)
        if open or out is None:
            with serving(folder) as address:
                observer.notice(f"the lecture is at {address} until Ctrl-C")
                if open:
                    webbrowser.open(address)
                _wait(observer)
    return written if out is not None else structs.replace(written, folder=None)


@contextmanager
def _folder(out: Place | None) -> Iterator[Path]:
    """Yields the folder that the user named, or a temporary one."""
    if out is not None:
        check_new(Path(out))
        yield Path(out)
        return
    with tempfile.TemporaryDirectory(prefix="alexnet-") as work:
        yield Path(work) / "lecture"


def _wait(observer: Observer) -> None:
    """Waits until the person has seen enough: Ctrl-C, or an observer that stops."""
    pause = threading.Event()
    try:
        while not observer.should_stop():
            pause.wait(0.2)
    except KeyboardInterrupt:
        pass

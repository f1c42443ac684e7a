"""The command that serves trained networks to other programs and to people: serve."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from alexnet.commands import arguments
from alexnet.commands.arguments import About, Place, documented
from alexnet.commands.measuring import Numbers, several
from alexnet.commands.results import Served
from alexnet.errors import UsageError
from alexnet.progress import Display

HOST = "address to serve from; others than this machine's own need a token"
TOKEN = "file with the token that requests have to bring; only its owner may read it"
CORS = "origin, such as https://example.org, whose pages may ask"
ROOT = "path below which a proxy serves it"
WAITING = "pictures that are read or wait at a time; more requests are refused (429)"
DEADLINE = "seconds that a picture may wait; what is computed is always finished"
DRAIN = "seconds after SIGTERM for which it still answers, and says that it is not ready"
INDEX = "index of pictures, made by alexnet index, in which the page and /neighbours find what is alike"
CORRECTIONS = "folder to keep pictures in whose right class was told, with a table that train takes as its labels"


@documented
def serve(
    runs: Annotated[Sequence[Place], About("RUN", "run folders, weight files, or tiny-imagenet")],
    *,
    host: Annotated[str, About("ADDRESS", HOST)] = "127.0.0.1",
    port: Annotated[int, About("PORT", "port to serve from; 0 takes a free one")] = 8000,
    precision: Numbers = "auto",
    index: Annotated[Place, About("INDEX", INDEX)] | None = None,
    corrections: Annotated[Place, About("DIR", CORRECTIONS)] | None = None,
    token_file: Annotated[Place, About("FILE", TOKEN)] | None = None,
    no_token: Annotated[bool, About(None, "let everybody ask who can reach the address, by whatever name")] = False,
    cors: Annotated[Sequence[str], About("ORIGIN", CORS)] = (),
    root_path: Annotated[str, About("PATH", ROOT)] = "",
    waiting: Annotated[int, About("K", WAITING)] = 128,
    deadline: Annotated[float, About("S", DEADLINE)] = 30.0,
    drain: Annotated[float, About("S", DRAIN)] = 5.0,
    max_bytes: Annotated[int, About("K", "bytes of a request")] = 20_000_000,
    max_pixels: Annotated[int, About("K", "pixels of a picture")] = 64_000_000,
    max_files: Annotated[int, About("K", "pictures of a request")] = 32,
    observer: arguments.Watcher = None,
) -> Served:
    """Answers what is on pictures over HTTP, to a page, to programs, and to clients of the Open Inference Protocol.

    It is ready when every network has answered the built-in pictures as its file records.

    Raises:
        UsageError: Two networks have one name, the address is taken, or the token or the index does not fit.
        DataError: A file of the index is missing or damaged.
        CheckpointError: A network is missing, damaged or untrained, or does not answer as its file records.
    """
    _check_extra()
    from alexnet import machine
    from alexnet.serving import looking, served, server
    from alexnet.serving.app import application
    from alexnet.serving.corrections import Corrections
    from alexnet.serving.limits import Limits
    from alexnet.serving.service import Service

    observer, signals = observer or Display(), server.Signals()
    access = server.access(host, None if token_file is None else Path(token_file), no_token, several(cors))
    limits = Limits(waiting, max_bytes, max_pixels, max_files, deadline, drain=drain)
    with signals.handled(), server.listen(host, port) as listener:
        machine.keep_memory()
        models = served.open_runs(several(runs), precision)
        service = Service(models, limits, looking.open_index(index, models.values()), corrections is not None)
        kept = None if corrections is None else Corrections(Path(corrections))
        app = application(service, kept, access, root_path)
        address, started = server.address(listener) + root_path, time.monotonic()
        announce = partial(observer.notice, f"serving {', '.join(models)} at {address}")
        server.run(app, service, listener, signals, announce)
    return Served(address=address, models=tuple(models), seconds=time.monotonic() - started)


def _check_extra() -> None:
    try:
        import httptools  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UsageError(f"serve needs the package {error.name}: install 'alexnet[serve]'") from error

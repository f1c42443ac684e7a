"""AlexNet as published: every variant, trained, tested, explained, and fast."""

from __future__ import annotations  # for a Python too old to read `list[str]`, which is told so

from importlib import import_module

TYPE_CHECKING = False  # `typing` takes long to import, and meanwhile Ctrl-C shows a traceback; see `__main__`

if TYPE_CHECKING:
    __version__: str

    from alexnet.commands import (
        audit,
        bench,
        cache,
        claim,
        compare,
        compress,
        convert,
        demo,
        doctor,
        evaluate,
        explain,
        export,
        features,
        index,
        lecture,
        pack,
        predict,
        report,
        search,
        serve,
        summary,
        train,
        units,
    )
    from alexnet.evaluation.classifier import Classifier, load
    from alexnet.models.alexnet import AlexNet
    from alexnet.models.create import create as create_model

_COMMANDS = (
    *("audit", "bench", "cache", "claim", "compare", "compress", "convert", "demo", "doctor", "evaluate", "explain"),
    *("export", "features", "index", "lecture", "pack", "predict", "report", "search", "serve", "summary", "train"),
    "units",
)
_PLACES = {
    "AlexNet": ("models.alexnet", "AlexNet"),
    "Classifier": ("evaluation.classifier", "Classifier"),
    "create_model": ("models.create", "create"),
    "load": ("evaluation.classifier", "load"),
    **{name: ("commands", name) for name in _COMMANDS},
}

__all__ = [  # the names that are looked up below
    "AlexNet", "Classifier", "__version__", "audit", "bench", "cache", "claim", "compare", "compress", "convert",
    "create_model", "demo", "doctor", "evaluate", "explain", "export", "features", "index", "lecture", "load", "pack",
    "predict", "report", "search", "serve", "summary", "train", "units",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """Imports what is asked for only then, so that `alexnet --help` does not wait for torch.

    Raises:
        ImportError: The package cannot work with this Python or this torch; the message says what to install.
    """
    if name == "__version__":
        return _version()
    if name not in _PLACES:
        raise AttributeError(f"module 'alexnet' has no attribute {name!r}")
    from alexnet import requirements

    problem = requirements.problem()
    if problem:
        raise ImportError(problem)
    module, own = _PLACES[name]
    return getattr(import_module(f"alexnet.{module}"), own)


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("alexnet")
    except metadata.PackageNotFoundError:  # run from its source, without an installation
        return "0+unknown"


def __dir__() -> list[str]:
    return __all__

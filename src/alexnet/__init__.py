"""AlexNet as published: every variant, trained, tested, explained, and fast."""

from importlib import import_module

__version__ = "0.1.0"

TYPE_CHECKING = False  # `typing` takes long to import, and meanwhile Ctrl-C shows a traceback; see `__main__`

if TYPE_CHECKING:
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
    """Imports what is asked for only then, so that `alexnet --help` does not wait for torch."""
    if name not in _PLACES:
        raise AttributeError(f"module 'alexnet' has no attribute {name!r}")
    module, own = _PLACES[name]
    return getattr(import_module(f"alexnet.{module}"), own)


def __dir__() -> list[str]:
    return __all__

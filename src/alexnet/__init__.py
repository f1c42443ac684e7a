"""AlexNet as published: every variant, trained, tested, explained, and fast."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["AlexNet", "Classifier", "__version__", "create_model", "load"]

if TYPE_CHECKING:
    from alexnet.evaluation.classifier import Classifier, load
    from alexnet.models.alexnet import AlexNet
    from alexnet.models.create import create as create_model


def __getattr__(name: str) -> Any:
    """Imports torch only when something of it is asked for, so that `alexnet --help` is quick."""
    if name == "AlexNet":
        from alexnet.models.alexnet import AlexNet

        return AlexNet
    if name == "create_model":
        from alexnet.models.create import create

        return create
    if name in ("Classifier", "load"):
        from alexnet.evaluation import classifier

        return getattr(classifier, name)
    raise AttributeError(f"module 'alexnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

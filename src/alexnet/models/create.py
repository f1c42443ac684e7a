"""Every network by its design, or by the name of its variant."""

import dataclasses
from difflib import get_close_matches

from alexnet.config import Design, Value
from alexnet.errors import UsageError
from alexnet.models.alexnet import AlexNet
from alexnet.models.cifar import CifarNet
from alexnet.models.network import Network
from alexnet.models.variants import Cifar, row


def create(
    name: str = "alexnet",
    *,
    classes: int | None = None,
    initialisation: str | None = None,
    seed: int = 0,
    **settings: Value,
) -> Network:
    """Returns a network by the name of its variant.

    Args:
        name: A key of `VARIANTS` or of `CIFAR`.
        classes: Outputs of the last layer; None takes the variant's own, 1000 or 10.
        initialisation: A key of `models.initialise.SCHEMES`; None takes the variant's own.
        seed: Seed of the weights.
        **settings: Fields of `Design`: `input_size`, `activation`, `lrn`, `alpha_factor`, `pooling`, `without`,
            `dropout`.

    Raises:
        UsageError: There is no such variant or setting, or the network cannot have a value.
    """
    names = ["classes", *(field.name for field in dataclasses.fields(Design)), "initialisation", "seed"]
    for setting in settings:
        if setting not in names:
            close = get_close_matches(setting, names, 1)
            hint = f"perhaps {close[0]!r}" if close else f"there are {', '.join(names)}"
            raise UsageError(f"no setting {setting!r}; {hint}")
    own = row(name)
    design = Design(variant=name, **{"dropout": own.dropout, **settings})  # type: ignore[arg-type]  # checked inside
    return build(design, own.classes if classes is None else classes, initialisation, seed)


def build(design: Design, classes: int, initialisation: str | None = None, seed: int = 0) -> Network:
    """Returns the network of a design; the other arguments are those of `create`.

    Raises:
        UsageError: There is no such variant, or it cannot have one of the settings.
    """
    kind = CifarNet if isinstance(row(design.variant), Cifar) else AlexNet
    return kind(design, classes=classes, initialisation=initialisation, seed=seed)

"""Every network by the name of its variant."""

from difflib import get_close_matches
from inspect import signature
from typing import Any

from alexnet.errors import UsageError
from alexnet.models.alexnet import AlexNet
from alexnet.models.cifar import CIFAR, Cifar, CifarNet
from alexnet.models.network import Network
from alexnet.models.variants import VARIANTS, Variant


def create(name: str = "alexnet", **settings: Any) -> Network:
    """Makes a network.

    Args:
        name: A key of `VARIANTS` or of `CIFAR`.
        **settings: As `AlexNet` and `CifarNet` take them: `classes`, `input_size`, `activation`, `lrn`,
            `alpha_factor`, `pooling`, `without`, `dropout`, `initialisation`, `seed`.

    Raises:
        UsageError: There is no such variant, or a setting is none that it can have.
    """
    kind: type[AlexNet] | type[CifarNet] = CifarNet if isinstance(row(name), Cifar) else AlexNet
    known = list(signature(kind).parameters)[1:]
    for setting in settings:
        if setting not in known:
            close = get_close_matches(setting, known, 1)
            hint = f"perhaps {close[0]!r}" if close else f"there are {', '.join(known)}"
            raise UsageError(f"no setting {setting!r}; {hint}")
    return kind(name, **settings)


def row(name: str) -> Variant | Cifar:
    """Looks a variant up by name.

    Raises:
        UsageError: There is no such variant.
    """
    rows: dict[str, Variant | Cifar] = {**VARIANTS, **CIFAR}
    if name not in rows:
        raise UsageError(f"no variant {name!r}; there are {', '.join(rows)}")
    return rows[name]


def stored_size(name: str, input_size: int | None) -> int:
    """Gives the side of stored pictures that suits an input: 256 at an AlexNet's own, in proportion otherwise.

    Raises:
        UsageError: There is no such variant.

    Source: paper section 2 (256) and section 4.1 (crops of 224); cuda-convnet crops 24 of CIFAR's 32.
    """
    found = row(name)
    return found.stored_size if input_size is None else round(found.stored_size * input_size / found.input_size)

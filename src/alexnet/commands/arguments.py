"""The arguments of the commands: their types, what a shell calls their values, and what they mean, said once."""

import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from alexnet.observer import Observer

Function = TypeVar("Function", bound=Callable[..., Any])

Place = str | Path


@dataclass(frozen=True)
class About:
    """What a shell calls an argument's value, None where that is its choices, and a phrase on what it means."""

    metavar: str | None
    text: str


SOURCES = (
    "a folder (or .tar or .zip) of one folder of pictures a class, or with train/ and val/ or test/ folders of those; "
    "the folder of the ILSVRC-2012 archives; a CIFAR python archive; or solar-cells, which the extra of that name gives"
)
VARIANTS = (
    "alexnet, alexnet-two-tower, alexnet-as-run, alexnet-one-tower, caffe-alexnet, caffenet, one-weird-trick, "
    "cifar-80sec, cifar-19pct, cifar-18pct, cifar-13pct or cifar-11pct"
)
PACKED = "or a packed store, or its http(s)://, s3:// or gs:// address"
SPLIT = "split to measure errors on: val, test, train+val ...; val by default, or test where there is no val"
NUMBERS = "numbers to compute in; auto takes bf16 where the processor has it"
TIMEOUT = "under torchrun: seconds to wait for a process that does not come or answer, before all give up"
LABELS = "table of the pictures' paths and labels, and of splits if it has them: CSV, TSV, JSON lines or Parquet"
GROUPS = (
    "table of groups of duplicates, groups.csv of alexnet audit: none is divided when pictures are held out of a "
    "source without splits"
)
BAD_IMAGE = "skip lists a picture that cannot be read in the quarantine; stop ends with an error"

Excluded = Annotated[
    Sequence[str],
    About(
        "PATTERN",
        "leave out folders and files of this name, or path with slashes; * stands for any characters; "
        "or all that a CSV file lists, as alexnet audit writes it",
    ),
]
Groups = Annotated[Place, About("FILE", GROUPS)]
Labels = Annotated[Place, About("FILE", LABELS)]
Network = Annotated[Place, About("RUN", "run folder, weight file, or tiny-imagenet, which comes with the package")]
NewRun = Annotated[Place, About("RUN", "run folder to make")]
TrainingData = Annotated[Place, About("SOURCE", f"{SOURCES}; {PACKED}")]
OwnData = Annotated[Place, About("SOURCE", "pictures to work on; by default those that the run was trained on")]
Split = Annotated[str, About("SPLIT", SPLIT)]
Variant = Annotated[str, About("V", f"which network: {VARIANTS}")]
InputSize = Annotated[int, About("S", "side of the network's input, pixels; the variant's own by default")]
Timeout = Annotated[float, About("S", TIMEOUT)]
OnBadImage = Annotated[Literal["skip", "stop"], About(None, BAD_IMAGE)]
Watcher = Annotated[Observer | None, About(None, "is told how the work goes, and may stop it; shows bars by default")]

TIMEOUT_S = 300.0


def documented(function: Function) -> Function:
    """Writes the meaning of every argument into a command's docstring, and takes it out of its signature."""
    text, mark, errors = inspect.cleandoc(function.__doc__ or "").partition("\nRaises:\n")
    signature = inspect.signature(function)
    lines, parameters = [f"{text.rstrip()}\n\nArgs:"], []
    for name, parameter in signature.parameters.items():
        kind, about = explained(parameter.annotation)
        lines.append(textwrap.fill(f"{name}: {about.text}.", 112, initial_indent=" " * 4, subsequent_indent=" " * 8))
        parameters.append(parameter.replace(annotation=kind))
    function.__doc__ = "\n".join([*lines, f"{mark}{errors}"])
    setattr(function, "__signature__", signature.replace(parameters=parameters))  # noqa: B010  # functions have it
    return function


def explained(annotation: Any) -> tuple[Any, About]:
    """Returns an argument's type and meaning, from `Annotated[T, About(...)]` or from that `| None`."""
    kind, more = get_args(annotation)
    if isinstance(more, About):
        return kind, more
    kind, about = explained(kind)
    return kind | None, about

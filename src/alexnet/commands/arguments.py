"""The arguments of the commands: type, what a shell calls them, and what they mean, said once for shell and Python."""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from alexnet.observer import Observer

Function = TypeVar("Function", bound=Callable[..., Any])

Place = str | Path


@dataclass(frozen=True)
class About:
    """What a shell calls an argument's value, where not by its choices, and a phrase on what it means."""

    metavar: str | None
    text: str


SOURCES = (
    "a folder (or .tar) with one folder of pictures a class, or with train/ and val/ or test/ folders of those; the "
    "folder of the ILSVRC-2012 archives; a CIFAR python archive; or solar-cells, which the extra of that name installs"
)
VARIANTS = (
    "alexnet, alexnet-two-tower, alexnet-as-run, alexnet-one-tower, caffe-alexnet, caffenet, one-weird-trick, "
    "cifar-80sec, cifar-19pct, cifar-18pct, cifar-13pct or cifar-11pct"
)

Network = Annotated[Place, About("RUN", "run folder or weight file")]
NewRun = Annotated[Place, About("RUN", "run folder to make")]
Pictures = Annotated[Place, About("SOURCE", SOURCES)]
TrainingData = Annotated[
    Place, About("SOURCE", f"{SOURCES}; or a packed store, or its http(s)://, s3:// or gs:// address")
]
OwnData = Annotated[Place, About("SOURCE", "pictures to work on; what the run was trained with by default")]
SomeData = Annotated[Place, About("SOURCE", "pictures to measure with; made up by default")]
Split = Annotated[str, About("SPLIT", "what to measure errors on: val, test, train+val ...; val by default, else test")]
Views = Annotated[Literal[1, 10], About(None, "test views: 1 takes the centre, 10 the paper's ten")]
Variant = Annotated[str, About("V", f"which network: {VARIANTS}")]
InputSize = Annotated[int, About("S", "side of the network's input, pixels; the variant's own by default")]
Kind = Literal["auto", "float32", "bf16", "int8"]
Numbers = Annotated[Kind, About(None, "numbers to compute in; auto takes bf16 where the processor has it")]
Timeout = Annotated[
    float, About("S", "under torchrun: seconds after which a process that does not come or answer is given up")
]
OnBadImage = Annotated[
    Literal["skip", "stop"],
    About(None, "skip lists a picture that cannot be read in the quarantine, stop ends with an error"),
]
Watcher = Annotated[Observer | None, About(None, "is told how the work goes, and may stop it; shows bars by default")]

TIMEOUT_S = 300.0


def documented(function: Function) -> Function:
    """Puts the meaning of every argument where Python's users look: into a command's docstring, not its signature."""
    text, mark, errors = inspect.cleandoc(function.__doc__ or "").partition("\nRaises:\n")
    arguments = [f"{name}: {about(annotation).text}." for name, annotation in _annotations(function).items()]
    wrapped = [textwrap.fill(each, 112, initial_indent=" " * 4, subsequent_indent=" " * 8) for each in arguments]
    function.__doc__ = "\n".join([f"{text.rstrip()}\n\nArgs:", *wrapped, f"{mark}{errors}"])
    signature = inspect.signature(function)
    parameters = [p.replace(annotation=_plain(p.annotation)) for p in signature.parameters.values()]
    setattr(function, "__signature__", signature.replace(parameters=parameters))  # noqa: B010  # functions have it
    return function


def about(annotation: Any) -> About:
    """Returns what an annotation says of its argument."""
    for part in (*getattr(annotation, "__metadata__", ()), *get_args(annotation)):
        if isinstance(part, About):
            return part
    return next(about(part) for part in get_args(annotation) if part is not type(None))


def _annotations(function: Callable[..., object]) -> dict[str, Any]:
    return {name: annotation for name, annotation in function.__annotations__.items() if name != "return"}


def _plain(annotation: Any) -> Any:
    """Returns an annotation as a person reads it, without what it says of the argument."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return Union[tuple(map(_plain, get_args(annotation)))]  # noqa: UP007  # of as many as there are
    return annotation

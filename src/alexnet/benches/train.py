"""The training step, on made-up pictures: ours, and as most people write it."""

import sys
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional as F

from alexnet import machine
from alexnet.benches import layers, limits
from alexnet.benches.clock import laps
from alexnet.benches.lrn import forward_backward
from alexnet.benches.peers import NETWORKS
from alexnet.benches.rounds import Contest, Contestant, Notice, Result
from alexnet.benches.size import Size
from alexnet.config import Train
from alexnet.models.create import create
from alexnet.models.network import Network
from alexnet.models.summary import summarise
from alexnet.training.step import Step

TWO_TOWER = "alexnet-two-tower"
BF16, FLOAT32 = (limits.multiply(numbers) for numbers in ("bf16", "float32"))


def _ours(variant: str, numbers: str) -> Contestant:
    return Contestant(f"{variant}, {numbers}", "benches.train.ours", {"variant": variant, "numbers": numbers}, True)


def _peer(name: str, network: str, numbers: str = "float32", keeps_memory: bool = False) -> Contestant:
    return Contestant(name, "benches.train.peer", {"network": network, "numbers": numbers}, keeps_memory)


BEST = "bf16" if machine.has_bf16() else "float32"
OURS = [_ours(TWO_TOWER, numbers) for numbers in dict.fromkeys((BEST, "float32"))] + [_ours("alexnet", BEST)]
PEERS = [
    _peer("plain PyTorch", "two-tower"),
    _peer("plain PyTorch, same allocator", "two-tower", keeps_memory=True),
    _peer("torchvision-style", "torchvision-style"),
    _peer("torchvision-style, same allocator", "torchvision-style", keeps_memory=True),
]
if BEST == "bf16":
    PEERS += [
        _peer("plain PyTorch, bf16", "two-tower", BEST),
        _peer("torchvision-style, bf16", "torchvision-style", BEST),
    ]


def bench(size: Size, notice: Notice, per_layer: bool = False) -> Result:
    """Compares training steps, all float32 and contiguous but where the name says bf16: those are channels-last."""
    result = Result()
    machine = limits.contestant(BF16, FLOAT32, *([limits.COPY] if per_layer else []))
    contest = Contest([machine, *OURS, *PEERS], size, notice)
    rates = limits.note(result, contest, BF16, FLOAT32)
    peers = {peer.name: contest(peer.name, "images/s") for peer in PEERS}
    for entry in (*OURS, *PEERS):
        flop = contest(entry.name, "flop/image")
        shares = {name: [rate / flop[0] for rate in series] for name, series in rates.items() if flop}
        others = peers | shares if entry in OURS else shares
        result.row(f"train: {entry.name}", "images/s", contest(entry.name, "images/s"), others)
    for entry in OURS:
        result.row(f"train: {entry.name}: share of LRN in the step", "%", contest(entry.name, "lrn %"))
        result.row(f"train: {entry.name}: first step", "s", contest(entry.name, "first s"))
        result.row(f"train: {entry.name}: later steps", "s", contest(entry.name, "step s"))
    if per_layer:
        limits.note(result, contest, limits.COPY)
        result.layers = layers.table(size, result.limits, notice)
    return result


def ours(size: Size, variant: str, numbers: str) -> dict[str, float]:
    """Measures our step: its rate, its first call, its share of normalisation, and the memory it took."""
    train, dtype = Train(variant=variant, batch_size=size.batch), machine.dtype(numbers)
    model = create(variant, input_size=size.input_size)
    operations = flop(model)
    step = Step(model.to(machine.device()), train, dtype)
    images, labels = made_up_batch(size.batch, model.input_size)
    images, labels = images.to(dtype, memory_format=torch.channels_last), labels % model.classes
    first, *later = laps(lambda: step(images, labels, 0, train.learning_rate), size.seconds, size.warm_up + 3)
    peak = peak_bytes()
    return {
        "images/s": size.batch / median(later[size.warm_up :]),
        "flop/image": operations,
        "first s": first,
        "step s": median(later[size.warm_up :]),
        "lrn %": 100 * _normalisation_s(model, size, dtype) / median(later[size.warm_up :]),
        "peak bytes": peak,
    }


def peer(size: Size, network: str, numbers: str) -> dict[str, float]:
    """Measures a plain step, float32 contiguous or bf16 by autocast and channels-last: momentum 0.9, decay 5e-4."""
    make, side = NETWORKS[network]
    side, is_bf16 = size.input_size or side, numbers == "bf16"
    layout = torch.channels_last if is_bf16 else torch.contiguous_format
    model = make(side).to(machine.device(), memory_format=layout).train()  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    images, labels = made_up_batch(size.batch, side)
    images = images.contiguous(memory_format=layout)

    def step() -> float:
        optimiser.zero_grad()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=is_bf16):
            scores = model(images)
        loss = F.cross_entropy(scores.float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return loss.item()

    variant = {"two-tower": TWO_TOWER, "torchvision-style": "one-weird-trick"}[network]
    rate = size.batch / median(laps(step, size.seconds, size.warm_up + 3)[1 + size.warm_up :])
    return {"images/s": rate, "flop/image": flop(create(variant, input_size=side, initialisation="none"))}


def flop(model: Network) -> float:
    """Gives the operations of training on one image.

    A multiply-add is two operations; forwards each layer does them once, backwards once for its weights and once for
    its input, which conv1 need not.
    """
    rows = {row.name: row.macs for row in summarise(model)}
    return float(2 * (3 * sum(rows.values()) - rows["conv1"]))


def made_up_batch(count: int, side: int) -> tuple[Tensor, Tensor]:
    """Gives random images (N, 3, side, side), about as bright as mean-subtracted pictures, and labels."""
    images, labels = 60 * torch.randn(count, 3, side, side), torch.randint(1000, (count,))
    return images.to(machine.device()), labels.to(machine.device())


def peak_bytes() -> float:
    """Gives the most memory this process ever had, or had on the GPU; NaN on Windows, which does not say."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


def _normalisation_s(model: Network, size: Size, dtype: torch.dtype) -> float:
    """Gives the seconds of all normalisation layers, forwards and backwards, on maps of their shapes."""
    numbers = next(name for name, known in limits.DTYPES.items() if known == dtype)
    norms: list[tuple[tuple[int, ...], Callable[[Tensor], Tensor]]] = [
        (row.output_shape, partial(getattr(model, row.name), rectify=True))
        for row in summarise(model)
        if row.name.startswith("norm")
    ]
    case = f"{numbers} channels-last"
    return sum(forward_backward(norm, (size.batch, *shape), case, size.seconds / 8) for shape, norm in norms)

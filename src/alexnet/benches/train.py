"""The training step, on made-up pictures: ours, and as most people write it."""

import sys
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet import machine
from alexnet.benches import layers, limits, peers
from alexnet.benches.clock import laps
from alexnet.benches.contest import Contest, Contestant, Notice, Series
from alexnet.benches.findings import Figures, Findings, Limit, images_per_s
from alexnet.benches.lrn import forward_backward
from alexnet.benches.size import Size
from alexnet.config import Train
from alexnet.models.create import create
from alexnet.models.network import Network
from alexnet.models.summary import summarise
from alexnet.training.step import Step

TWO_TOWER = "alexnet-two-tower"
BEST = "bf16" if machine.has_bf16() else "float32"


def bench(size: Size, notice: Notice, per_layer: bool = False) -> Findings:
    """Compares training steps; those in float32 are contiguous, those in bf16 are channels-last and say so."""
    limit = limits.contestant(Limit.BF16, Limit.FLOAT32, *([Limit.COPY] if per_layer else []))
    ours, others = _ours(), _peers()
    contest = Contest([limit, *ours, *others], size, notice)
    rates = limits.rates(contest(limit))

    def reached(contestant: Contestant[Figures]) -> dict[str, Series]:
        """Returns the images/s that the multiply rates would allow."""
        flop = contest.series(contestant, lambda turn: turn.flop)
        multiply = [name for name in (Limit.BF16, Limit.FLOAT32) if flop and name in rates]
        return {name: [rate / flop[0] for rate in rates[name]] for name in multiply}

    table = contest.rows("train: {}", "images/s", images_per_s, ours, others, reached)
    for entry in ours:
        table += contest.rows("train: {}: share of LRN in the step", "%", lambda turn: turn.lrn_percent, [entry])
        table += contest.rows("train: {}: first step", "s", lambda turn: turn.first_s, [entry])
        table += contest.rows("train: {}: later steps", "s", lambda turn: turn.step_s, [entry])
    machine_limits = {name: median(series) for name, series in rates.items()}
    return Findings(table, machine_limits, layers.table(size, machine_limits, notice) if per_layer else [])


def ours(size: Size, variant: str, numbers: str) -> Figures:
    """Measures our step; `numbers` is a `precision` setting."""
    train, dtype = Train(variant=variant, batch_size=size.batch), machine.dtype(numbers)
    model = create(variant, input_size=size.input_size)
    operations = flop(model)
    step = Step(model.to(machine.device()), train, dtype)
    images, labels = made_up_batch(size.batch, model.input_size)
    images, labels = images.to(dtype, memory_format=torch.channels_last), labels % model.classes
    first, *later = laps(lambda: step(images, labels, 0, train.learning_rate), size.seconds, size.warm_up + 3)
    peak, step_s = peak_bytes(), median(later[size.warm_up :])
    return Figures(
        images_per_s=size.batch / step_s,
        flop=operations,
        first_s=first,
        step_s=step_s,
        lrn_percent=100 * _normalisation_s(model, size, dtype) / step_s,
        peak_bytes=peak,
    )


def peer(size: Size, make: Callable[[int], nn.Module], side: int, variant: str, numbers: str = "float32") -> Figures:
    """Measures a plain step with momentum 0.9 and decay 5e-4: float32 and contiguous, or autocast and channels-last.

    `make` makes the network from the side of its input; `variant` is ours of the same layers, whose operations count.
    """
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

    rate = size.batch / median(laps(step, size.seconds, size.warm_up + 3)[1 + size.warm_up :])
    return Figures(rate, flop=flop(create(variant, input_size=side, initialisation="none")))


def flop(model: Network) -> float:
    """Returns the operations of training on one image.

    A multiply-add is two operations; forwards each layer does them once, backwards once for its weights and once for
    its input, which conv1 need not.
    """
    macs = {row.name: row.macs for row in summarise(model)}
    return float(2 * (3 * sum(macs.values()) - macs["conv1"]))


def made_up_batch(count: int, side: int) -> tuple[Tensor, Tensor]:
    """Returns random images (N, 3, side, side), about as bright as mean-subtracted pictures, and labels (N,)."""
    images, labels = 60 * torch.randn(count, 3, side, side), torch.randint(1000, (count,))
    return images.to(machine.device()), labels.to(machine.device())


def peak_bytes() -> float:
    """Returns the most memory this process had, on the GPU if there is one; NaN on Windows, which keeps no count."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


def _ours() -> list[Contestant[Figures]]:
    cases = dict.fromkeys([(TWO_TOWER, BEST), (TWO_TOWER, "float32"), ("alexnet", BEST)])
    return [
        Contestant(f"{variant}, {numbers}", partial(ours, variant=variant, numbers=numbers), keeps_memory=True)
        for variant, numbers in cases
    ]


def _peers() -> list[Contestant[Figures]]:
    plain = partial(peer, make=peers.two_tower, side=227, variant=TWO_TOWER)
    simplified = partial(peer, make=peers.torchvision_style, side=224, variant="one-weird-trick")
    contestants = []
    for name, step in (("plain PyTorch", plain), ("torchvision-style", simplified)):
        contestants.append(Contestant(name, step))
        contestants.append(Contestant(f"{name}, same allocator", step, keeps_memory=True))
    if BEST == "bf16":
        contestants.append(Contestant("plain PyTorch, bf16", partial(plain, numbers=BEST)))
        contestants.append(Contestant("torchvision-style, bf16", partial(simplified, numbers=BEST)))
    return contestants


def _normalisation_s(model: Network, size: Size, dtype: torch.dtype) -> float:
    """Returns the seconds of all normalisation layers, forwards and backwards, on maps of their shapes."""
    seconds = 0.0
    for row in summarise(model):
        if row.name.startswith("norm"):
            norm, shape = partial(getattr(model, row.name), rectify=True), (size.batch, *row.output_shape)
            seconds += forward_backward(norm, shape, dtype, torch.channels_last, size.seconds / 8)
    return seconds

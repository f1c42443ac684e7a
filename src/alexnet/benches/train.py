"""The training step on made-up pictures: ours, as most people write it, and by two processes that share the cores."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet import machine
from alexnet.benches import layers
from alexnet.benches.contest import Contest, Contestant, Notice, answer, command, laps
from alexnet.benches.findings import BenchRow, Figures, Findings, Limit, Series, Size
from alexnet.config import Train
from alexnet.meeting import assemble
from alexnet.models.create import create
from alexnet.models.network import Network
from alexnet.models.summary import summarise
from alexnet.training.parallel import CUT, Part
from alexnet.training.step import Step

TWO_TOWER = "alexnet-two-tower"
BEST = "bf16" if machine.has_bf16() else "float32"
PROCESSES = 2
TIMEOUT_S = 300.0


def bench(size: Size, notice: Notice, per_layer: bool = False) -> Findings:
    """Compares training steps; those in float32 are contiguous, those in bf16 are channels-last and say so."""
    limit = layers.limits(Limit.BF16, Limit.FLOAT32, *([Limit.COPY] if per_layer else []))
    cases = dict.fromkeys([(TWO_TOWER, BEST), (TWO_TOWER, "float32"), ("alexnet", BEST)])
    entries = [
        Contestant(f"{variant}, {numbers}", partial(ours, variant=variant, numbers=numbers), keeps_memory=True)
        for variant, numbers in cases
    ]
    peers, peers_bf16 = [], []
    for name, variant in (("plain PyTorch", TWO_TOWER), ("torchvision-style", "one-weird-trick")):
        step = partial(peer, variant=variant)
        peers += [Contestant(name, step), Contestant(f"{name}, same allocator", step, keeps_memory=True)]
        peers_bf16.append(Contestant(f"{name}, bf16", partial(step, numbers="bf16")))
    if BEST == "bf16":
        peers += peers_bf16
    contest = Contest([limit, *entries, *peers], size, notice)
    rates = layers.series(contest(limit))

    def reached(contestant: Contestant[Figures]) -> dict[str, Series]:
        """Returns the images/s that the multiply rates would allow."""
        flop = contest.series(contestant, lambda turn: turn.flop)
        multiply = [name for name in (Limit.BF16, Limit.FLOAT32) if flop and name in rates]
        return {name: [rate / flop[0] for rate in rates[name]] for name in multiply}

    table = contest.rows("train: {}", "images/s", lambda turn: turn.images_per_s, entries, peers, reached)
    for entry in entries:
        table += contest.rows("train: {}: share of LRN in the step", "%", lambda turn: turn.lrn_percent, [entry])
        table += contest.rows("train: {}: first step", "s", lambda turn: turn.first_s, [entry])
        table += contest.rows("train: {}: later steps", "s", lambda turn: turn.step_s, [entry])
    return Findings(table, rates, layers.table(size, rates, notice) if per_layer and rates else [])


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
    lrn_s = 0.0  # of all normalisation layers, forwards and backwards, on maps of their shapes
    for row in summarise(model):
        if row.name.startswith("norm"):
            norm, shape = partial(getattr(model, row.name), rectify=True), (size.batch, *row.output_shape)
            lrn_s += layers.forward_backward(norm, replace(size, map=shape), dtype, torch.channels_last)
    return Figures(size.batch / step_s, None, operations, first, step_s, 100 * lrn_s / step_s, peak)


def peer(size: Size, variant: str, numbers: str = "float32") -> Figures:
    """Measures a plain step on made-up pictures; a bf16 one is channels-last."""
    side, is_bf16 = size.input_size or PLAIN[variant][1], numbers == "bf16"
    step = plain_step(variant, side, is_bf16)
    images, labels = made_up_batch(size.batch, side)
    images = images.contiguous(memory_format=torch.channels_last if is_bf16 else torch.contiguous_format)
    times = laps(lambda: step(images, labels), size.seconds, size.warm_up + 3)[1 + size.warm_up :]
    return Figures(size.batch / median(times), flop=flop(create(variant, input_size=side, initialisation="none")))


def plain_step(variant: str, side: int, is_bf16: bool = False) -> Callable[[Tensor, Tensor], float]:
    """Returns a plain step with momentum 0.9 and decay 5e-4: float32 and contiguous, or autocast and channels-last."""
    layout = torch.channels_last if is_bf16 else torch.contiguous_format
    model = PLAIN[variant][0](side).to(machine.device(), memory_format=layout).train()  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)

    def step(images: Tensor, labels: Tensor) -> float:
        optimiser.zero_grad()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=is_bf16):
            scores = model(images)
        loss = F.cross_entropy(scores.float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return loss.item()

    return step


class TowerNorm(nn.LocalResponseNorm):
    """PyTorch's normalisation, run over each tower separately: a picture becomes two pictures of half the channels."""

    def forward(self, images: Tensor) -> Tensor:
        """Returns the normalised maps; same shape."""
        count, channels, height, width = images.shape
        halves = images.reshape(2 * count, channels // 2, height, width)
        return super().forward(halves).reshape(images.shape)


def two_tower(side: int) -> nn.Module:
    """Returns the paper's network for inputs of `side` pixels: grouped convolutions, ReLU in place, PyTorch's LRN."""
    pooled = (side - 35) // 32  # conv1 and three poolings at strides 4, 2, 2 and 2: side of pool5's map
    return nn.Sequential(
        *[nn.Conv2d(3, 96, 11, 4), nn.ReLU(True), TowerNorm(5, 5e-4, 0.75, 2.0), nn.MaxPool2d(3, 2)],
        *[nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(True), TowerNorm(5, 5e-4, 0.75, 2.0)],
        *[nn.MaxPool2d(3, 2), nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(True)],
        *[nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(True)],
        *[nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(True), nn.MaxPool2d(3, 2), nn.Flatten()],
        *[nn.Linear(256 * pooled**2, 4096), nn.ReLU(True), nn.Dropout()],
        *[nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(), nn.Linear(4096, 1000)],
    )


def torchvision_style(side: int) -> nn.Module:
    """Returns torchvision's simplified network, layer by layer: narrower, one tower, no normalisation.

    Source: torchvision/models/alexnet.py; its average pooling leaves the 6 x 6 map of 224-pixel inputs as it is.
    """
    return nn.Sequential(
        *[nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(True), nn.MaxPool2d(3, 2)],
        *[nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(True), nn.MaxPool2d(3, 2)],
        *[nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(True), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(True)],
        *[nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(3, 2)],
        *[nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Dropout(), nn.Linear(256 * 36, 4096), nn.ReLU(True)],
        *[nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(True), nn.Linear(4096, 1000)],
    )


PLAIN: dict[str, tuple[Callable[[int], nn.Module], int]] = {
    TWO_TOWER: (two_tower, 227),
    "one-weird-trick": (torchvision_style, 224),
}
"""Our variant -> a function that makes the same layers from the side of their input, and that side."""


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


def bench_teams(size: Size, notice: Notice) -> Findings:
    """Compares the modes of `training.parallel` with one process that has all cores: same batch, same network."""
    threads = machine.cores()
    if threads < PROCESSES:
        notice(f"left out: parallel: {PROCESSES} processes need as many cores, there is {threads}")
        return Findings()
    kinds = ("float32", "bf16") if machine.has_bf16() else ("float32",)
    return Findings([row for numbers in kinds for row in _compare_teams(numbers, threads, size, notice)])


def _compare_teams(numbers: str, threads: int, size: Size, notice: Notice) -> list[BenchRow]:
    step = partial(ours, variant=TWO_TOWER, numbers=numbers)
    alone = Contestant(f"one process of {threads} threads, {numbers}", step, True, threads)
    teams = [
        Contestant(f"{mode}, {numbers}", partial(by_team, mode=mode, threads=threads // PROCESSES, numbers=numbers))
        for mode in CUT
    ]
    contest = Contest([alone, *teams], size, notice)
    base = {alone.name: contest.series(alone, lambda turn: turn.images_per_s)}
    table = contest.rows("parallel: {}", "images/s", lambda turn: turn.images_per_s, [alone])
    for team in teams:
        name = f"parallel: {PROCESSES} processes, {{}}"
        table += contest.rows(name, "images/s", lambda turn: turn.images_per_s, [team], bounds=lambda _: base)
        table += contest.rows(f"{name}: sent by each", "MB a step", lambda turn: turn.sent_megabytes, [team])
    return table


def by_team(size: Size, mode: str, threads: int, numbers: str) -> Figures:
    """Starts the processes of a team and returns what the first one measured."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(PROCESSES)}
    contestant = Contestant("member", partial(member, mode=mode, numbers=numbers), True, threads)
    environments = [{**os.environ, **place, "RANK": f"{rank}", "LOCAL_RANK": f"{rank}"} for rank in range(PROCESSES)]
    words = command(contestant, size)
    processes = [subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) for environment in environments]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit(1)  # the members have written the reason to the error stream, which they share with this process
    return answer(contestant, outputs[0])


def member(size: Size, mode: str, numbers: str) -> Figures:
    """Makes one member's steps and measures the team's rate and what this member sends."""
    settings, dtype = Train(variant=TWO_TOWER, batch_size=size.batch), machine.dtype(numbers)
    with assemble(mode, TIMEOUT_S) as team:
        model = create(settings.variant, input_size=size.input_size).to(machine.device())
        step = Step(model, settings, dtype, Part(model, team))
        images, _ = made_up_batch(size.batch // team.images.count, model.input_size)
        _, labels = made_up_batch(size.batch // team.data.count, 1)
        images = images.to(dtype, memory_format=torch.channels_last)
        times = laps(lambda: step(images, labels, 0, settings.learning_rate), 0, size.warm_up + 3)  # those of `ours`
        rate = size.batch / median(times[1 + size.warm_up :])
        return Figures(rate, sent_megabytes=team.sent / len(times) / 1e6)

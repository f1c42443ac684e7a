"""What `bench` and `doctor` found, as text for a terminal."""

import shlex
from typing import TYPE_CHECKING

from alexnet.pages.markup import duration
from alexnet.recipes import MODERN

if TYPE_CHECKING:
    from alexnet.benches import Bench
    from alexnet.benches.doctor import Examination
    from alexnet.benches.proposal import Proposal


def bench(result: "Bench") -> list[str]:
    """Returns the rows with their ratios, the machine's limits, and the layers."""
    facts = result.machine
    lines = [f"{facts.gpu or facts.cpu}, {facts.threads} threads, torch {facts.torch}"]
    lines += [f"  {name:<32}{value / 1e9:10,.1f} G" for name, value in result.limits.items()]
    width = max((len(row.name) for row in result.rows), default=0)
    for row in result.rows:
        lines.append(f"{row.name:<{width}}{row.value:>12,.2f} {row.unit}")
        lines += [f"{'':<{width}}{ratio:>12.2f} x {other}" for other, ratio in row.ratio_to.items()]
    if result.layers:
        head = ("ms forward", "backward", "GFLOP", "MB", "ms at FLOP/s", "ms at bytes/s")
        lines += ["", f"{'layer':<8}" + "".join(f"{title:>14}" for title in head)]
    for layer in result.layers:
        figures = (layer.forward_ms, layer.backward_ms, layer.flop / 1e9, layer.bytes / 1e6)
        columns = (*figures, layer.operations_ms, layer.bytes_ms)
        lines.append(f"{layer.name:<8}" + "".join(f"{value:14,.2f}" for value in columns))
    return lines


def doctor(examination: "Examination") -> list[str]:
    """Returns the machine, the rates, what bounds training, and what to do."""
    from alexnet.benches.doctor import Stage

    facts, rates, shares = examination.machine, examination.rates, examination.shares

    def gigabytes(size: int | None) -> str:
        return "not known" if size is None else f"{size / 2**30:.1f} GiB"

    has = {True: "yes", False: "no"}
    lines = ["this machine", f"  {facts.cpu}; GPU: {facts.gpu or 'none'}"]
    lines.append(f"  cores: {facts.cores}; threads: {facts.threads}")
    lines.append(f"  bf16 instructions: {has[facts.bf16]}; compiled kernels: {has[facts.kernels]}")
    lines.append(f"  memory {gigabytes(facts.memory)}, shared memory (/dev/shm) {gigabytes(facts.shared_memory)}")
    lines += ["", "images/s, each stage by itself"]
    for stage, rate in rates.items():
        if stage != Stage.DISK_MEGABYTES:
            share = f"{shares[stage]:7.1%} of an image's time" if stage in shares else ""
            lines.append(f"  {stage:<14}{rate:>12,.0f} {share}".rstrip())
    if Stage.DISK_MEGABYTES in rates:
        lines.append(f"  the disk gives {rates[Stage.DISK_MEGABYTES]:,.0f} MB/s")
    if examination.epoch_s is not None:
        epoch, whole = (duration(epochs * examination.epoch_s) for epochs in (1, MODERN.epochs))
        lines += ["", f"training on these {examination.pictures:,} pictures"]
        lines.append(f"  an epoch about {epoch}, recipe modern ({MODERN.epochs:g} epochs) about {whole}")
    if examination.largest_batch is not None:
        lines.append(f"  largest batch that fits in memory: about {examination.largest_batch:,}")
    lines += ["", f"training is bound by: {examination.bound_by}", *[f"  {each}" for each in examination.advice]]
    if examination.proposal and examination.data:
        lines += ["", *_proposed(examination.proposal, shlex.quote(examination.data))]
    return lines


def _proposed(proposal: "Proposal", data: str) -> list[str]:
    lines, start = [], "to begin with"
    if proposal.is_last_resort:
        lines = [
            f"{start}, from trained weights, as so few pictures need",
            f"  alexnet train finetune --data {data} --out runs/mine",
        ]
        start = "from scratch"
    sides = f" of about {proposal.side} pixels" if proposal.side is not None else ""
    time = f", about {duration(proposal.seconds)}" if proposal.seconds is not None else ""
    sizes = f"--input-size {proposal.input_size} --set stored_size={proposal.stored_size}"
    command = f"alexnet train {proposal.recipe} --data {data} --out runs/mine {sizes} --epochs {proposal.epochs:g}"
    return [*lines, f"{start}, for pictures{sides}{time}", f"  {command}"]

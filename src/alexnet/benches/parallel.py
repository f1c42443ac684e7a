"""Two processes that share the cores, against one that has them all: the same batch, the same network."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from statistics import median

import torch

from alexnet import machine
from alexnet.benches.clock import laps
from alexnet.benches.rounds import Contest, Contestant, Notice, Result
from alexnet.benches.size import Size
from alexnet.benches.train import TWO_TOWER, made_up_batch
from alexnet.config import Train
from alexnet.meeting import assemble
from alexnet.models.create import create
from alexnet.training.parallel import CUT, Part
from alexnet.training.step import Step

COUNT = 2
TIMEOUT_S = 300.0


def bench(size: Size, notice: Notice) -> Result:
    """Compares the modes of `training.parallel` with one process, where each process has a core at least."""
    result, threads = Result(), machine.cores()
    if threads < COUNT:
        notice(f"left out: parallel: {COUNT} processes need as many cores, there is {threads}")
        return result
    for numbers in ("float32", "bf16") if machine.has_bf16() else ("float32",):
        what = {"variant": TWO_TOWER, "numbers": numbers}
        alone = Contestant(f"one process of {threads} threads, {numbers}", "benches.train.ours", what, True, threads)
        each = threads // COUNT
        teams = [
            Contestant(f"{mode}, {numbers}", "benches.parallel.ours", {"mode": mode, "threads": each, **what})
            for mode in CUT
        ]
        contest = Contest([alone, *teams], size, notice)
        rate = contest(alone.name, "images/s")
        result.row(f"parallel: {alone.name}", "images/s", rate)
        for team in teams:
            name = f"parallel: {COUNT} processes, {team.name}"
            result.row(name, "images/s", contest(team.name, "images/s"), {alone.name: rate})
            result.row(f"{name}: sent by each", "MB a step", contest(team.name, "MB"))
    return result


def ours(size: Size, **turn: str | int) -> dict[str, float]:
    """Starts the processes of a team and gives what the first one measured."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(COUNT)}
    command = [sys.executable, "-m", "alexnet.benches.parallel", json.dumps({**turn, "size": asdict(size)})]
    members = [
        subprocess.Popen(
            command,
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(COUNT)
    ]
    told, *_ = [member.communicate()[0] for member in members]
    if any(member.returncode for member in members):
        sys.exit(1)  # they have said why
    measured: dict[str, float] = json.loads(told)
    return measured


def main(turn: str) -> None:
    """Makes a member's steps; the first prints their rate and what each sends."""
    asked = json.loads(turn)
    size = Size(**asked["size"])
    machine.keep_memory()
    torch.set_num_threads(asked["threads"])
    train, dtype = Train(variant=asked["variant"], batch_size=size.batch), machine.dtype(asked["numbers"])
    with assemble(asked["mode"], TIMEOUT_S) as team:
        model = create(train.variant, input_size=size.input_size).to(machine.device())
        step = Step(model, train, dtype, Part(model, team))
        images, _ = made_up_batch(size.batch // team.images.count, model.input_size)
        _, labels = made_up_batch(size.batch // team.data.count, 1)
        images = images.to(dtype, memory_format=torch.channels_last)
        times = laps(lambda: step(images, labels, 0, train.learning_rate), 0, 1 + size.warm_up + size.steps)
        if team.is_first:
            rate = size.batch / median(times[1 + size.warm_up :])
            print(json.dumps({"images/s": rate, "MB": team.sent / len(times) / 1e6}))


if __name__ == "__main__":
    main(sys.argv[1])

"""Two processes that share the cores, against one that has them all: the same batch, the same network."""

import os
import pickle
import socket
import subprocess
import sys
from functools import partial
from statistics import median

import torch

from alexnet import machine
from alexnet.benches import train
from alexnet.benches.clock import laps
from alexnet.benches.contest import Contest, Contestant, Notice, command
from alexnet.benches.findings import Figures, Findings, Row, images_per_s
from alexnet.benches.size import Size
from alexnet.config import Train
from alexnet.meeting import assemble
from alexnet.models.create import create
from alexnet.training.parallel import CUT, Part
from alexnet.training.step import Step

COUNT = 2
TIMEOUT_S = 300.0


def bench(size: Size, notice: Notice) -> Findings:
    """Compares the modes of `training.parallel` with one process, where each process has a core at least."""
    threads = machine.cores()
    if threads < COUNT:
        notice(f"left out: parallel: {COUNT} processes need as many cores, there is {threads}")
        return Findings()
    table = _compare("float32", threads, size, notice)
    return Findings(table + _compare("bf16", threads, size, notice) if machine.has_bf16() else table)


def _compare(numbers: str, threads: int, size: Size, notice: Notice) -> list[Row]:
    step = partial(train.ours, variant=train.TWO_TOWER, numbers=numbers)
    alone = Contestant(f"one process of {threads} threads, {numbers}", step, True, threads)
    teams = [
        Contestant(f"{mode}, {numbers}", partial(ours, mode=mode, threads=threads // COUNT, numbers=numbers))
        for mode in CUT
    ]
    contest = Contest([alone, *teams], size, notice)
    base = {alone.name: contest.series(alone, images_per_s)}
    table = contest.rows("parallel: {}", "images/s", images_per_s, [alone])
    for team in teams:
        name = f"parallel: {COUNT} processes, {{}}"
        table += contest.rows(name, "images/s", images_per_s, [team], bounds=lambda _: base)
        table += contest.rows(f"{name}: sent by each", "MB a step", lambda turn: turn.sent_megabytes, [team])
    return table


def ours(size: Size, mode: str, threads: int, numbers: str) -> Figures:
    """Starts the processes of a team and returns what the first one measured."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(COUNT)}
    words = command(Contestant("member", partial(member, mode=mode, numbers=numbers), True, threads), size)
    members = [
        subprocess.Popen(
            words, env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)}, stdout=subprocess.PIPE
        )
        for rank in range(COUNT)
    ]
    answers = [process.communicate()[0] for process in members]
    if any(process.returncode for process in members):
        sys.exit(1)  # the members have written the reason to the error stream, which they share with this process
    figures: Figures = pickle.loads(answers[0])
    return figures


def member(size: Size, mode: str, numbers: str) -> Figures:
    """Makes one member's steps and measures the team's rate and what this member sends."""
    settings, dtype = Train(variant=train.TWO_TOWER, batch_size=size.batch), machine.dtype(numbers)
    with assemble(mode, TIMEOUT_S) as team:
        model = create(settings.variant, input_size=size.input_size).to(machine.device())
        step = Step(model, settings, dtype, Part(model, team))
        images, _ = train.made_up_batch(size.batch // team.images.count, model.input_size)
        _, labels = train.made_up_batch(size.batch // team.data.count, 1)
        images = images.to(dtype, memory_format=torch.channels_last)
        times = laps(lambda: step(images, labels, 0, settings.learning_rate), 0, 1 + size.warm_up + size.steps)
        rate = size.batch / median(times[1 + size.warm_up :])
        return Figures(rate, sent_megabytes=team.sent / len(times) / 1e6)

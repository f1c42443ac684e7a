"""Prediction with the two-tower network: one picture at a time, and many."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from alexnet import machine
from alexnet.benches import layers
from alexnet.benches.contest import Contest, Contestant, Notice, rows, typical
from alexnet.benches.findings import Figures, Findings, Limit, Row, Series, Size
from alexnet.benches.train import TWO_TOWER, made_up_batch
from alexnet.evaluation.quantise import prepare, weight_bytes
from alexnet.exports.onnx import graph
from alexnet.models.create import create
from alexnet.models.summary import summarise

MULTIPLIES = {"float32": Limit.FLOAT32, "bf16": Limit.BF16, "int8": Limit.BF16}
"""The numbers we predict in, and the limit of their convolutions where the processor has bf16."""


def bench(size: Size, notice: Notice) -> Findings:
    """Compares latency and throughput, and latency with its floors: the weights read once, the operations done once."""
    limit = layers.limits(Limit.READ, Limit.BF16, Limit.FLOAT32)
    ours = {numbers: Contestant(f"ours, {numbers}", partial(measure, numbers=numbers), True) for numbers in MULTIPLIES}
    with tempfile.TemporaryDirectory(prefix="alexnet-bench-") as folder:
        path = str(Path(folder) / "two-tower.onnx")
        file = Contestant("ONNX file, which ONNX Runtime and OpenVINO read", partial(write_onnx, path=path))
        peers = [
            Contestant("ONNX Runtime float32", partial(onnx_runtime, path=path)),
            Contestant("OpenVINO float32", partial(openvino, path=path, numbers="f32")),
            Contestant("OpenVINO bf16", partial(openvino, path=path, numbers="bf16")),
        ]
        is_written = Contest([file], replace(size, rounds=1), notice)(file)
        contest = Contest([limit, *ours.values(), *(peers if is_written else [])], size, notice)
    entries, many, rates = list(ours.values()), size.predict_batch, layers.series(contest(limit))
    table = contest.rows("predict: {}, batch 1", "ms", lambda turn: turn.one_ms, entries, peers)
    table += contest.rows(f"predict: {{}}, batch {many}", "images/s", lambda turn: turn.images_per_s, entries, peers)
    for numbers, entry in ours.items():
        multiply = rates.get(MULTIPLIES[numbers]) or rates.get(Limit.FLOAT32, [])
        table += _floors(contest, entry, rates.get(Limit.READ, []), multiply)
    return Findings(table, rates)


def measure(size: Size, numbers: str) -> Figures:
    """Measures our prediction in some numbers."""
    whole = create(TWO_TOWER, input_size=size.input_size).to(machine.device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
    model, dtype = prepare(whole, numbers)

    def take(images: Tensor) -> Callable[[], object]:
        ready = images.to(dtype, memory_format=torch.channels_last)
        return lambda: model(ready)

    with torch.inference_mode():
        speed = _measure(size, take, whole.input_size)
    macs = sum(row.macs for row in summarise(whole) if row.name.startswith("conv"))
    return replace(speed, weight_bytes=float(weight_bytes(model)), flop=2.0 * macs)


def onnx_runtime(size: Size, path: str) -> Figures:
    """Measures ONNX Runtime with as many threads as PyTorch takes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    provider = "CUDAExecutionProvider" if machine.device().type == "cuda" else "CPUExecutionProvider"
    session = onnxruntime.InferenceSession(path, options, providers=[provider])
    if session.get_providers()[0] != provider:
        raise RuntimeError(f"this ONNX Runtime has no {provider}")
    side = session.get_inputs()[0].shape[-1]

    def take(images: Tensor) -> Callable[[], object]:
        array = images.cpu().numpy()
        return lambda: session.run(None, {"images": array})

    return _measure(size, take, side)


def openvino(size: Size, path: str, numbers: str) -> Figures:
    """Measures OpenVINO on the CPU with as many threads as PyTorch takes, in float32 (`f32`) or `bf16`."""
    import openvino as engine

    if machine.device().type == "cuda":
        raise RuntimeError("it does not run on this GPU")
    form = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": numbers}
    graph = engine.Core().read_model(path)
    side = graph.inputs[0].partial_shape[3].get_length()

    def take(images: Tensor) -> Callable[[], object]:
        graph.reshape({"images": list(images.shape)})
        request = engine.compile_model(graph, "CPU", form).create_infer_request()
        array = images.numpy()
        return lambda: request.infer([array])

    return _measure(size, take, side)


def write_onnx(size: Size, path: str) -> None:
    """Writes the two-tower network as an ONNX file, its normalisation as ONNX's own operator."""
    import onnx

    onnx.save(graph(create(TWO_TOWER, input_size=size.input_size).eval()), path)


def _floors(contest: Contest, entry: Contestant[Figures], read: Series, multiply: Series) -> list[Row]:
    """Returns how many times its two floors a latency is; no rows where one of the three was not measured."""
    latency = contest.series(entry, lambda turn: turn.one_ms)
    sizes = contest.series(entry, lambda turn: turn.weight_bytes)
    flop = contest.series(entry, lambda turn: turn.flop)
    reading, both = [], []
    for ms, size, operations, bytes_per_s, flop_per_s in zip(latency, sizes, flop, read, multiply, strict=False):
        reading.append(ms / 1e3 / (size / bytes_per_s))
        both.append(ms / 1e3 / (size / bytes_per_s + operations / flop_per_s))
    name = f"predict: {entry.name}, batch 1: latency over"
    return rows(f"{name} reading the weights once", "x", reading) + rows(f"{name} that and the convolutions", "x", both)


def _measure(size: Size, take: Callable[[Tensor], Callable[[], object]], side: int) -> Figures:
    """Measures what `take` makes of one image and of many."""
    one, many = (typical(take(made_up_batch(count, side)[0]), size.seconds) for count in (1, size.predict_batch))
    return Figures(size.predict_batch / many, one_ms=1e3 * one)

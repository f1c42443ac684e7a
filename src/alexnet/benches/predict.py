"""Prediction with the two-tower network: one picture at a time, and many."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexnet import machine
from alexnet.benches import limits
from alexnet.benches.clock import typical
from alexnet.benches.rounds import Contest, Contestant, Failed, Notice, Result, Series, launch
from alexnet.benches.size import Size
from alexnet.benches.train import BF16, FLOAT32, TWO_TOWER, made_up_batch
from alexnet.evaluation.quantise import prepare, weight_bytes
from alexnet.models.create import create
from alexnet.models.summary import summarise

LIMITS = (limits.READ, BF16, FLOAT32)
OURS = [Contestant(f"ours, {n}", "benches.predict.ours", {"numbers": n}, True) for n in ("float32", "bf16", "int8")]


def bench(size: Size, notice: Notice) -> Result:
    """Compares latency and throughput, and latency with its floors: the weights read once, the operations done once."""
    result = Result()
    with tempfile.TemporaryDirectory(prefix="alexnet-bench-") as folder:
        peers = _peers(size, Path(folder) / "two-tower.onnx", notice)
        contest = Contest([limits.contestant(*LIMITS), *OURS, *peers], size, notice)
    rates = limits.note(result, contest, *LIMITS)
    for figure, unit, name in (("one ms", "ms", "batch 1"), ("images/s", "images/s", f"batch {size.predict_batch}")):
        others = {peer.name: contest(peer.name, figure) for peer in peers}
        for entry in OURS:
            result.row(f"predict: {entry.name}, {name}", unit, contest(entry.name, figure), others)
        for other, series in others.items():
            result.row(f"predict: {other}, {name}", unit, series)
    for entry in OURS:
        rate = rates[FLOAT32] if "float32" in entry.name else rates[BF16] or rates[FLOAT32]
        reading = _milliseconds(contest(entry.name, "weight bytes"), rates[limits.READ])
        multiplying = _milliseconds(contest(entry.name, "convolution flop"), rate)
        both = [sum(floors) for floors in zip(reading, multiplying, strict=True)]
        for floor, series in (("reading the weights once", reading), ("that and the convolutions", both)):
            times = _quotients(contest(entry.name, "one ms"), series)
            result.row(f"predict: {entry.name}, batch 1: latency over {floor}", "x", times)
    return result


def ours(size: Size, numbers: str) -> dict[str, float]:
    """Measures our prediction in some numbers."""
    whole = create(TWO_TOWER, input_size=size.input_size).to(machine.device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
    model, dtype = prepare(whole, numbers)

    def take(images: Tensor) -> Callable[[], object]:
        ready = images.to(dtype, memory_format=torch.channels_last)
        return lambda: model(ready)

    with torch.inference_mode():
        measured = _measure(size, take, whole.input_size)
    macs = sum(row.macs for row in summarise(whole) if row.name.startswith("conv"))
    return {**measured, "weight bytes": float(weight_bytes(model)), "convolution flop": 2.0 * macs}


def onnx_runtime(size: Size, path: str) -> dict[str, float]:
    """Measures ONNX Runtime with as many threads as PyTorch takes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    wanted = ["CUDAExecutionProvider"] if machine.device().type == "cuda" else ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(path, options, providers=wanted)
    if session.get_providers()[0] != wanted[0]:
        raise RuntimeError(f"this ONNX Runtime has no {wanted[0]}")
    side = session.get_inputs()[0].shape[-1]

    def take(images: Tensor) -> Callable[[], object]:
        array = images.cpu().numpy()
        return lambda: session.run(None, {"images": array})

    return _measure(size, take, side)


def openvino(size: Size, path: str, numbers: str) -> dict[str, float]:
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


def _peers(size: Size, path: Path, notice: Notice) -> list[Contestant]:
    """Writes the network as an ONNX file, and gives those that read it; none, and a notice, where that fails."""
    try:
        launch(Contestant("ONNX file", "benches.peers.write_onnx", {"path": str(path)}), size)
    except Failed as reason:
        notice(f"left out: ONNX Runtime and OpenVINO: the ONNX file could not be written: {reason}")
        return []
    file: dict[str, Any] = {"path": str(path)}
    return [
        Contestant("ONNX Runtime float32", "benches.predict.onnx_runtime", file),
        Contestant("OpenVINO float32", "benches.predict.openvino", {**file, "numbers": "f32"}),
        Contestant("OpenVINO bf16", "benches.predict.openvino", {**file, "numbers": "bf16"}),
    ]


def _measure(size: Size, take: Callable[[Tensor], Callable[[], object]], side: int) -> dict[str, float]:
    """Measures what `take` makes of one image and of many."""
    one, many = (typical(take(made_up_batch(count, side)[0]), size.seconds) for count in (1, size.predict_batch))
    return {"one ms": 1e3 * one, "images/s": size.predict_batch / many}


def _milliseconds(amounts: Series, rates: Series) -> Series:
    return [1e3 * quotient for quotient in _quotients(amounts, rates)]


def _quotients(over: Series, under: Series) -> Series:
    """Divides, round by round; empty where either was not measured."""
    return [a / b for a, b in zip(over, under, strict=True)] if over and under else []

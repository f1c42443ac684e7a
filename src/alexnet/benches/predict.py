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
from alexnet.benches.findings import BenchRow, Figures, Findings, Limit, Series, Size, Unit
from alexnet.benches.train import TWO_TOWER, made_up_batch
from alexnet.evaluation.quantise import prepare, weight_bytes
from alexnet.exports.onnx import graph, round_weights
from alexnet.models.create import create
from alexnet.models.summary import summarise

MULTIPLIES = {"float32": Limit.FLOAT32, "bf16": Limit.BF16, "int8": Limit.BF16}
"""The numbers we predict in, and the limit of their convolutions where the processor has bf16."""

FASTEST = "the fastest peer in the same numbers"


def bench(size: Size, notice: Notice) -> Findings:
    """Compares latency and throughput, and latency with its floors: the weights read once, the operations done once."""
    limit = layers.limits(Limit.READ, Limit.BF16, Limit.FLOAT32)
    ours = {numbers: Contestant(f"ours, {numbers}", partial(measure, numbers=numbers), True) for numbers in MULTIPLIES}
    with tempfile.TemporaryDirectory(prefix="alexnet-bench-") as folder:
        whole, products8, weights8 = (str(Path(folder, f"{name}.onnx")) for name in ("whole", "products8", "weights8"))
        files = [
            Contestant("ONNX file, which ONNX Runtime and OpenVINO read", partial(write_onnx, path=whole)),
            Contestant("... with 8-bit weights", partial(write_weights8, source=whole, path=weights8)),
            Contestant("... with 8-bit products", partial(write_products8, source=whole, path=products8)),
        ]
        peers = [
            Contestant("ONNX Runtime float32", partial(onnx_runtime, path=whole)),
            Contestant("OpenVINO float32", partial(openvino, path=whole, numbers="f32")),
            Contestant("OpenVINO bf16", partial(openvino, path=whole, numbers="bf16")),
            Contestant("ONNX Runtime int8", partial(onnx_runtime, path=products8)),
            Contestant("OpenVINO int8", partial(openvino, path=weights8, numbers="bf16")),
        ]
        is_written = Contest(files, replace(size, rounds=1), notice)(files[0])
        contest = Contest([limit, *ours.values(), *(peers if is_written else [])], size, notice)
    many, rates, table = size.predict_batch, layers.series(contest(limit)), list[BenchRow]()
    figures: list[tuple[str, Unit, Callable[[Figures], float | None]]] = [
        ("predict: {}, batch 1", "ms", lambda turn: turn.one_ms),
        (f"predict: {{}}, batch {many}", "images/s", lambda turn: turn.images_per_s),
    ]
    for name, unit, figure in figures:
        for numbers, entry in ours.items():
            table += [_against_fastest(row, numbers) for row in contest.rows(name, unit, figure, [entry], peers)[:1]]
        table += contest.rows(name, unit, figure, peers)
    for numbers, entry in ours.items():
        multiply = rates.get(MULTIPLIES[numbers]) or rates.get(Limit.FLOAT32, [])
        table += _floors(contest, entry, rates.get(Limit.READ, []), multiply)
    return Findings(table, rates)


def _against_fastest(row: BenchRow, numbers: str) -> BenchRow:
    """Returns a row of ours with its ratio to the fastest peer in the same numbers, where one was measured."""
    ratios = [ratio for name, ratio in row.ratio_to.items() if name.endswith(f" {numbers}")]
    return replace(row, ratio_to={**row.ratio_to, FASTEST: min(ratios)}) if ratios else row


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


def write_weights8(size: Size, source: str, path: str) -> None:
    """Writes a file of `write_onnx` with all weights in one byte and a scale for each output.

    OpenVINO multiplies them out again as it reads them; activations and products are bf16, as ours. In int8, ours keeps
    the weights of convolutions in bf16.
    """
    Path(path).write_bytes(round_weights(Path(source).read_bytes()))


def write_products8(size: Size, source: str, path: str) -> None:
    """Writes a file of `write_onnx` whose fully connected layers are products of 8-bit integers.

    ONNX Runtime rounds their inputs to 8 bits at every call, which ours does not; convolutions stay float32.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, path, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8)


def _floors(contest: Contest, entry: Contestant[Figures], read: Series, multiply: Series) -> list[BenchRow]:
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

import json

import pytest

from alexnet import benches as bench
from alexnet import machine
from alexnet.benches import contestant, layers, limits, train
from alexnet.cli import render
from alexnet.errors import UsageError
from alexnet.models.create import create

LIMITS = (limits.multiply("bf16"), limits.multiply("float32"), limits.COPY, limits.READ)
RATES = dict.fromkeys(LIMITS, 2e12)
FIGURES = {
    "limits.measure": RATES,
    "lrn.measure": {"float32 contiguous": 10.0, "bf16 channels-last": 5.0},
    "train.ours": {
        "images/s": 100.0,
        "flop/image": 5e9,
        "first s": 2.0,
        "step s": 1.0,
        "lrn %": 9.0,
        "peak bytes": 1e9,
    },
    "train.peer": {"images/s": 25.0, "flop/image": 5e9},
    "layers.measure": {f"conv1 {figure}": 4e9 for figure in layers.FIGURES},
    "predict.ours": {"one ms": 8.0, "images/s": 200.0, "weight bytes": 8e9, "convolution flop": 8e9},
    "predict.onnx_runtime": {"one ms": 16.0, "images/s": 50.0},
    "data.packed": {"images/s": 4000.0},
    "data.raw": {"images/s": 800.0},
    "data.pil": {"images/s": 400.0},
    "data.training": {"images/s": 95.0},
    "parallel.ours": {"images/s": 80.0, "MB": 30.0},
    "peers.write_onnx": {"bytes": 1.0},
}


def canned(turn):
    name = turn["function"].removeprefix("benches.")
    if name not in FIGURES:
        raise ImportError(f"No module named {turn['name']!r}")
    return FIGURES[name]


def rows(result):
    return {row["name"]: row for row in result["rows"]}


def test_all_gives_rows_limits_layers_and_facts(answers, tiny, monkeypatch):
    answers(canned)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    said = []
    result = bench.run("all", per_layer=True, notice=said.append, size=tiny)
    assert json.loads(json.dumps(result)) == result
    assert result["limits"] == RATES
    assert {"cpu", "threads", "torch"} <= set(result["machine"])
    assert all(set(row) == {"name", "value", "unit", "ratio_to"} for row in result["rows"])
    assert len(rows(result)) == len(result["rows"])
    assert {row["name"].split(":")[0] for row in result["rows"]} == set(bench.BENCHES)
    (layer,) = result["layers"]
    assert layer["operations_ms"] == layer["bytes_ms"] == 2.0
    assert any(line.startswith("left out: OpenVINO float32") for line in said)
    shown = render.bench(result)
    assert "conv1" in shown
    assert "x plain PyTorch" in shown


def test_training_is_compared_with_peers_and_with_the_matrix_multiply_rate(answers, tiny):
    answers(canned)
    row = rows(bench.run("train", size=tiny))[f"train: alexnet-two-tower, {train.BEST}"]
    assert row["value"] == 100
    assert row["ratio_to"]["plain PyTorch"] == 4
    assert row["ratio_to"][limits.multiply("bf16")] == pytest.approx(100 * 5e9 / 2e12)


def test_normalisation_is_compared_with_the_copy_bandwidth(answers, tiny):
    answers(canned)
    ratios = rows(bench.run("lrn", size=tiny))["lrn: ours, float32 contiguous"]["ratio_to"]
    floor_ms = 1e3 * 5 * 4 * (1 * 8 * 6 * 6) / 2e12
    assert ratios["copy bandwidth"] == pytest.approx(floor_ms / 10)
    assert ratios["nn.LocalResponseNorm"] == 1


def test_latency_is_compared_with_reading_the_weights_and_with_multiplying(answers, tiny):
    answers(canned)
    found = rows(bench.run("predict", size=tiny))
    assert found["predict: ours, int8, batch 1"]["ratio_to"] == {"ONNX Runtime float32": 2.0}
    latency = "predict: ours, int8, batch 1: latency over"
    assert found[f"{latency} reading the weights once"]["value"] == pytest.approx(2.0)
    assert found[f"{latency} that and the convolutions"]["value"] == pytest.approx(1.0)


def test_two_processes_are_not_measured_on_one_core(answers, tiny, monkeypatch):
    answers(canned)
    monkeypatch.setattr(machine, "cores", lambda: 1)
    said = []
    assert bench.run("parallel", notice=said.append, size=tiny)["rows"] == []
    assert said == ["left out: parallel: 2 processes need as many cores, there is 1"]


def test_an_unknown_bench_is_refused():
    with pytest.raises(UsageError, match="no bench 'speed'"):
        bench.run("speed")


CONTESTANTS = [
    ("limits.measure", {"wanted": [limits.multiply("float32"), limits.COPY, limits.READ]}),
    ("lrn.measure", {"way": "ours"}),
    ("lrn.measure", {"way": "torch"}),
    ("lrn.measure", {"way": "decomposed"}),
    ("train.ours", {"variant": "toy", "numbers": "float32"}),
    ("train.peer", {"network": "two-tower", "numbers": "float32"}),
    ("train.peer", {"network": "torchvision-style", "numbers": "bf16"}),
    ("layers.measure", {}),
    ("predict.ours", {"numbers": "int8"}),
    ("parallel.ours", {"mode": "data", "threads": 1, "variant": "alexnet-two-tower", "numbers": "float32"}),
]


@pytest.mark.parametrize(("function", "arguments"), CONTESTANTS)
def test_every_contestant_gives_positive_figures(tiny, function, arguments):
    figures = contestant.play(f"benches.{function}", arguments, vars(tiny))
    assert figures
    layerwise = function == "layers.measure"  # where a layer without weights makes no multiplications
    assert all(value > 0 or (layerwise and value == 0) for value in figures.values()), figures


def test_every_layer_but_the_fused_relus_is_in_the_table():
    model = create("toy", input_size=67)
    names = [name for name, _, _ in layers.steps(model)]
    assert names == [name for name in model.order if name not in ("relu1", "relu2")]

import json
import math
from functools import partial

import pytest
import torch

from alexnet import benches, machine
from alexnet.benches import data, layers, predict, start, train
from alexnet.benches.findings import Figures, Layer, Limit
from alexnet.cli import show_speed
from alexnet.errors import UsageError
from alexnet.models.create import create
from alexnet.models.summary import summarise
from alexnet.records import to_json

RATES = dict.fromkeys((Limit.BF16, Limit.FLOAT32, Limit.COPY, Limit.READ), 2e12)
FIGURES = {
    layers.measure_limits: RATES,
    layers.normalise: {"float32 contiguous": 10.0, "bf16 channels-last": 5.0},
    train.ours: Figures(100.0, flop=5e9, first_s=2.0, step_s=1.0, lrn_percent=9.0, peak_bytes=1e9),
    train.peer: Figures(25.0, flop=5e9),
    layers.measure: [Layer("conv1", 4e9, 4e9, 4e9, 4e9)],
    predict.measure: Figures(200.0, one_ms=8.0, weight_bytes=8e9, flop=8e9),
    predict.onnx_runtime: Figures(50.0, one_ms=16.0),
    data.packed: 4000.0,
    data.raw: 800.0,
    data.pil: 400.0,
    data.training: 95.0,
    data.plain_training: 19.0,
    train.by_team: Figures(80.0, sent_megabytes=30.0),
    predict.write_onnx: None,
    start.measure: [
        start.Start(torch_s, torch_s + beyond) for torch_s, beyond in ((1.0, 0.5), (2.0, 0.25), (1.5, 1.0))
    ],
}


def canned(contestant, size):
    function = getattr(contestant.measure, "func", contestant.measure)
    if function not in FIGURES:
        raise ImportError(f"No module named {contestant.name!r}")
    return FIGURES[function]


def rows(result):
    return {row.name: row for row in result.rows}


def test_all_gives_rows_limits_layers_and_facts(answers, tiny, notices, monkeypatch):
    answers(canned)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    result = benches.run("all", per_layer=True, observer=notices, size=tiny)
    written = json.loads(to_json(result))
    assert list(written) == ["bench", "machine", "limits", "rows", "layers"]
    assert written["limits"] == result.limits == RATES
    assert {"cpu", "threads", "torch"} <= set(written["machine"])
    assert all(set(row) == {"name", "value", "unit", "ratio_to"} for row in written["rows"])
    assert len(rows(result)) == len(result.rows)
    assert {row.name.split(":")[0] for row in result.rows} == {"lrn", "train", "data", "predict", "start", "parallel"}
    (layer,) = result.layers
    assert layer.operations_ms == layer.bytes_ms == 2.0
    columns = ["forward_ms", "backward_ms", "flop", "bytes", "operations_ms", "bytes_ms"]
    assert list(written["layers"][0]) == ["name", *columns]
    assert any(line.startswith("left out: OpenVINO float32") for line in notices.lines)
    shown = "\n".join(show_speed.bench(result))
    assert "conv1" in shown
    assert "x plain PyTorch" in shown


def test_training_is_compared_with_peers_and_with_the_matrix_multiply_rate(answers, tiny):
    answers(canned)
    row = rows(benches.run("train", size=tiny))[f"train: alexnet-two-tower, {train.BEST}"]
    assert row.value == 100
    assert row.ratio_to["plain PyTorch"] == 4
    assert row.ratio_to[Limit.BF16] == pytest.approx(100 * 5e9 / 2e12)


def test_normalisation_is_compared_with_the_copy_bandwidth(answers, tiny):
    answers(canned)
    ratios = rows(benches.run("lrn", size=tiny))["lrn: ours, float32 contiguous"].ratio_to
    floor_ms = 1e3 * 5 * 4 * (1 * 8 * 6 * 6) / 2e12
    assert ratios["copy bandwidth"] == pytest.approx(floor_ms / 10)
    assert ratios["nn.LocalResponseNorm"] == 1


def test_latency_is_compared_with_reading_the_weights_and_with_multiplying(answers, tiny):
    answers(canned)
    found = rows(benches.run("predict", size=tiny))
    peers = {"ONNX Runtime float32": 2.0, "ONNX Runtime int8": 2.0}
    assert found["predict: ours, int8, batch 1"].ratio_to == {**peers, predict.FASTEST: 2.0}
    assert found["predict: ours, bf16, batch 1"].ratio_to == peers  # none of which computes in bf16
    latency = "predict: ours, int8, batch 1: latency over"
    assert found[f"{latency} reading the weights once"].value == pytest.approx(2.0)
    assert found[f"{latency} that and the convolutions"].value == pytest.approx(1.0)


def test_a_first_prediction_is_counted_beyond_the_import_of_its_own_turn(answers, tiny):
    answers(canned)
    found = rows(benches.run("start", size=tiny))
    assert found["start: alexnet predict of one picture, beyond that of PyTorch"].value == 0.5
    assert found["start: import torch"].value == 1.5


def test_a_prediction_is_compared_with_the_fastest_peer_in_the_same_numbers(answers, tiny, monkeypatch):
    monkeypatch.setitem(FIGURES, predict.openvino, Figures(400.0, one_ms=4.0))
    answers(canned)
    found = rows(benches.run("predict", size=tiny))
    assert found["predict: ours, bf16, batch 1"].ratio_to[predict.FASTEST] == 0.5
    many = found[f"predict: ours, float32, batch {tiny.predict_batch}"].ratio_to
    assert (many["ONNX Runtime float32"], many["OpenVINO float32"], many[predict.FASTEST]) == (4.0, 0.5, 0.5)


def test_files_of_8_bit_numbers_answer_as_the_whole_network(tmp_path, tiny):
    onnxruntime = pytest.importorskip("onnxruntime")
    images = {"images": torch.randn(1, 3, 67, 67, generator=torch.Generator().manual_seed(0)).numpy()}
    files = [str(tmp_path / f"{name}.onnx") for name in ("whole", "weights8", "products8")]
    predict.write_onnx(tiny, files[0])
    predict.write_weights8(tiny, files[0], files[1])
    predict.write_products8(tiny, files[0], files[2])
    answered = [onnxruntime.InferenceSession(file).run(None, images)[0] for file in files]
    assert [abs(one - answered[0]).max() < 0.02 * answered[0].max() for one in answered] == [True] * 3
    assert (
        max((tmp_path / name).stat().st_size for name in ("weights8.onnx", "products8.onnx"))
        < 0.4 * (tmp_path / "whole.onnx").stat().st_size
    )


def test_two_processes_are_not_measured_on_one_core(answers, tiny, notices, monkeypatch):
    answers(canned)
    monkeypatch.setattr(machine, "cores", lambda: 1)
    assert benches.run("parallel", observer=notices, size=tiny).rows == []
    assert notices.lines == ["left out: parallel: 2 processes need as many cores, there is 1"]


def test_an_unknown_bench_is_refused():
    with pytest.raises(UsageError, match="no bench 'speed'"):
        benches.run("speed")


def test_layers_that_were_not_measured_are_not_in_the_json(answers, tiny):
    answers(canned)
    assert "layers" not in json.loads(to_json(benches.run("lrn", size=tiny)))


@pytest.mark.parametrize(
    ("variant", "operations"),
    [("alexnet", 2 * (3 * 1_135_256_096 - 105_415_200)), ("one-weird-trick", 2 * (3 * 714_188_480 - 70_276_800))],
)
def test_a_training_step_does_all_but_the_first_products_three_times(variant, operations):
    """Forwards, for the weights and for the inputs, of which the pictures need no gradient."""
    with torch.device("meta"):
        assert train.flop(create(variant, initialisation="none")) == operations


def test_a_prediction_does_the_products_of_its_convolutions_once(tiny):
    model = create("alexnet-two-tower", input_size=67, initialisation="none")
    products = {row.name: row.macs for row in summarise(model)}
    assert products["conv1"] == 96 * 15 * 15 * 363
    convolutions = sum(macs for name, macs in products.items() if name.startswith("conv"))
    assert predict.measure(tiny, "float32").flop == 2 * convolutions


CONTESTANTS = [
    partial(layers.measure_limits, limits=(Limit.FLOAT32, Limit.COPY, Limit.READ)),
    *[partial(layers.normalise, way=way) for way in ("ours", "nn.LocalResponseNorm", "decomposed")],
]
NETWORKS = [
    partial(train.ours, variant="toy", numbers="float32"),
    partial(train.peer, variant="alexnet-two-tower", numbers="float32"),
    partial(train.peer, variant="one-weird-trick", numbers="bf16"),
    partial(predict.measure, numbers="int8"),
    partial(train.by_team, mode="data", threads=1, numbers="float32"),
]


@pytest.mark.parametrize("measure", CONTESTANTS)
def test_every_contestant_gives_positive_figures(tiny, measure):
    figures = measure(tiny)
    assert figures
    assert all(value > 0 for value in figures.values()), figures


@pytest.mark.parametrize("measure", NETWORKS)
def test_every_network_gives_positive_figures(tiny, measure):
    figures = [value for value in vars(measure(tiny)).values() if value is not None and not math.isnan(value)]
    assert figures
    assert all(value > 0 for value in figures), figures


def test_every_layer_gives_positive_figures_but_for_multiplications_without_weights(tiny):
    for layer in layers.measure(tiny):
        assert layer.bytes > 0
        assert layer.backward_ms > 0
        assert layer.forward_ms > 0 or layer.name == "update"
        assert layer.flop > 0 or not layer.name.startswith(("conv", "fc"))


def test_every_layer_but_the_fused_relus_is_in_the_table():
    model = create("toy", input_size=67)
    names = [name for name, _, _ in layers.steps(model)]
    assert names == [name for name in model.order if name not in ("relu1", "relu2")]

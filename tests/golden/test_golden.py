"""Files that version 0.1 wrote stay readable: `version-0.1.tar.xz`, made by `make.py`. Every figure is literal."""

import hashlib
import json
import re
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from damage import unsealed

import alexnet as package
from alexnet.models.variants import VARIANTS

ARCHIVE = Path(__file__).with_name("version-0.1.tar.xz")
CLASSES = ("blue", "green", "red")
FLOAT32 = ("--precision", "float32", "--json")
DAMAGED = {
    "split": "train",
    "class": "red",
    "name": "train/red/damaged.jpg",
    "reason": "HTML or XML text, not a picture",
}
UNREAD = {
    "split": "val",
    "class": "green",
    "name": "val/green/1.jpg",
    "reason": "cannot be read: Permission denied",
}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(autouse=True)
def tree(unpacked, tmp_path, monkeypatch):
    """A copy of the files as the working directory: the runs name their data relative to it."""
    folder = tmp_path / "tree"
    shutil.copytree(unpacked, folder)
    monkeypatch.chdir(folder)
    caffe = replace(VARIANTS["caffenet"], channels=(8, 16, 12, 16, 8), hidden=32)
    monkeypatch.setitem(VARIANTS, "toy-caffenet", caffe)
    return folder


@pytest.fixture
def answer(alexnet):
    """A function that runs a command which must succeed and gives the JSON that it prints."""

    def run(*arguments):
        code, out, err = alexnet(*arguments)
        assert code == 0, err
        return json.loads(out)

    return run


@pytest.fixture
def probabilities(answer):
    """A function (run, picture) that gives each class's probability."""

    def predict(run, picture):
        (image,) = answer("predict", run, f"pictures/{picture}", *FLOAT32)["images"]
        return {row["class"]: row["probability"] for row in image["predictions"]}

    return predict


def left_out(entries):
    """What version 0.1 said of pictures that were left out; later versions may say more."""
    return [{key: entry[key] for key in ("split", "class", "name", "reason")} for entry in entries]


def rows(path):
    return [unsealed(line) for line in Path(path, "metrics.jsonl").read_text().splitlines()]


BLUE = {"blue": 0.76929, "green": 0.10591, "red": 0.12480}
GREEN = {"blue": 0.25796, "green": 0.28845, "red": 0.45359}


@pytest.mark.parametrize(
    ("run", "picture", "expected"),
    [
        ("finished", "val/blue/0.jpg", BLUE),
        ("finished", "val/red/2.jpg", {"blue": 0.30973, "green": 0.33475, "red": 0.35553}),
        ("finished/last.safetensors", "val/blue/0.jpg", BLUE),
        ("interrupted", "val/green/0.jpg", GREEN),
        ("bare.safetensors", "val/green/0.jpg", GREEN),
        ("pretrained", "val/green/0.jpg", GREEN),
        ("converted", "val/blue/0.jpg", {"blue": 0.01996, "green": 0.77408, "red": 0.20596}),
        ("converted", "val/red/2.jpg", {"blue": 0.12265, "green": 0.31772, "red": 0.55963}),
        ("small.compressed", "val/green/0.jpg", {"blue": 0.38886, "green": 0.30806, "red": 0.30308}),
    ],
)
def test_a_network_gives_a_picture_the_probabilities_that_it_gave(probabilities, run, picture, expected):
    assert probabilities(run, picture) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("run", ["finished", "interrupted", "bare.safetensors", "pretrained", "converted"])
def test_a_network_loads_in_python_with_its_classes(run):
    assert tuple(package.load(run, numbers="float32").classes) == CLASSES


@pytest.mark.parametrize("run", ["finished", "interrupted", "converted"])
def test_a_manifest_describes_the_weights_beside_it(run):
    manifest = json.loads(Path(run, "manifest.json").read_text())
    assert manifest["weights"]["sha256"] == hashlib.sha256(Path(run, "model.safetensors").read_bytes()).hexdigest()
    assert manifest["classes"] == list(CLASSES)


def test_a_finished_run_is_evaluated_on_the_data_that_it_names(answer):
    result = answer("evaluate", "finished", *FLOAT32)
    assert (result["n"], result["split"], result["views"]) == (8, "val", 1)
    assert result["confusion"] == [[3, 0, 0], [0, 2, 0], [0, 0, 3]]
    assert result["loss"] == pytest.approx(0.73586, abs=1e-4)
    assert result["calibration"]["ece"] == pytest.approx(0.48775, abs=1e-4)
    assert left_out(result["quarantined"]) == [UNREAD]


def test_a_finished_run_is_reported_with_its_figures(answer):
    page = Path(answer("report", "finished", "--json")["report"]).read_text(encoding="utf-8")
    shown = " ".join(re.sub(r"<style.*?</style>|<script.*?</script>|<[^>]+>", " ", page, flags=re.DOTALL).split())
    for figure in ("cifar-80sec", "145,123", "8377035daebb1baeb18bd331e6b857bf", *CLASSES):
        assert figure in shown
    for sentence in (
        "Top-1 error 0.0 % 0.0 % – 32.4 % largest class always: 62.5 %",
        "Measured on 8 pictures of the split val",
        "true class: blue 77 % red 13 % green 11 %",
        "blue 3 · · green · 2 · red · · 3",
        "5 pictures: 36 % sure, 100 % right",
        "it is 51.2 % sure and 100.0 % right",
        "32 kernels of 5 × 5 × 3",
        "val/green/1.jpg cannot be read: Permission denied",
        "learning_rate 0.01 rate_batch none schedule steps",
    ):
        assert sentence in shown
    assert page.count("data:image/jpeg;base64,") == 16  # a picture and a map of each
    assert page.count("data:image/png;base64,") == 1


def test_a_finished_run_has_nothing_left_to_train(answer):
    before = [{**row, "images_per_s": 0} for row in rows("finished")]
    assert answer("train", "--resume", "finished", "--json")["complete"]
    assert [{**row, "images_per_s": 0} for row in rows("finished")] == before
    assert len(before) == 11


def test_an_interrupted_run_is_trained_to_its_end(answer):
    result = answer("train", "--resume", "interrupted", "--json")
    assert result["complete"]
    assert result["loss"] == pytest.approx(1.12433, abs=1e-3)
    done = rows("interrupted")
    assert [row["step"] for row in done] == [1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 8]
    losses = [row["loss"] for row in done if "loss" in row]
    assert losses[:5] == [
        1.933844804763794,
        3.1600804328918457,
        1.220727562904358,
        1.4103209972381592,
        0.9378708600997925,
    ]
    assert losses[5:] == pytest.approx([0.83350, 1.52669, 1.84666], abs=1e-3)
    assert Path("interrupted/report.html").is_file()


def test_a_converted_run_is_evaluated_on_warped_pictures(answer):
    result = answer("evaluate", "converted", "--data", "pictures", *FLOAT32)
    assert result["confusion"] == [[0, 3, 0], [0, 2, 1], [0, 2, 1]]
    assert result["loss"] == pytest.approx(1.94392, abs=1e-3)


def test_a_compressed_file_is_evaluated_and_known_as_finished(answer):
    result = answer("evaluate", "small.compressed", "--data", "store", *FLOAT32)
    assert result["confusion"] == [[3, 0, 0], [3, 0, 0], [3, 0, 0]]
    assert result["loss"] == pytest.approx(1.12260, abs=1e-4)
    content = Path("small.compressed").read_bytes()
    words = ("--data", "store", "--out", "small.compressed", "--keep", "0.1", "--epochs", "1", "--json")
    made = answer("compress", "interrupted", *words)
    assert [(row["step"], row["bytes"]) for row in made["table"]] == [
        ("trained", 40172),
        ("pruned", 23449),
        ("pruned, retrained", 23449),
        ("shared", 7723),
        ("shared, retrained", 7723),
        ("Huffman", 10857),
    ]
    assert Path("small.compressed").read_bytes() == content


def test_a_store_has_its_pictures_hash_and_quarantine():
    from alexnet.data.open import open_data

    store = open_data("small")
    assert tuple(store.classes) == CLASSES
    assert store.content_hash == "8377035daebb1baeb18bd331e6b857bf"
    assert store.splits["train"].labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert store.splits["val"].labels.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert store.splits["val"].read(0).mean(axis=(0, 1)) == pytest.approx([40.11, 59.64, 199.88], abs=1)
    assert store.mean_image[3, 4].tolist() == pytest.approx([101.38889, 93.27778, 106.11111], abs=1e-4)
    assert len(store.quarantine) == 2


def test_a_store_whose_manifest_has_no_optional_keys_is_opened(answer):
    path = Path("small/dataset.json")
    manifest = unsealed(path.read_text())
    del manifest["is_split_drawn"], manifest["decoding"]
    path.write_text(json.dumps(manifest))
    assert answer("evaluate", "finished", *FLOAT32)["is_split_drawn"] is False


def test_what_could_not_be_read_is_packed_once_it_can_be(answer):
    assert json.loads(Path("small/dataset.json").read_text())["quarantine"] == [DAMAGED, UNREAD]
    packed = answer("pack", "pictures", "small", "--size", 32, "--json")
    assert packed["counts"] == {"train": 18, "val": 9}
    assert left_out(packed["quarantine"]) == [DAMAGED]


def test_a_finished_store_is_not_packed_again(answer):
    packed = answer("pack", "pictures", "store", "--size", 76, "--json")
    assert packed["hash"] == "792e5d76c43fe6cf743c43dbebdf23d3"
    assert left_out(packed["quarantine"]) == [DAMAGED]


@pytest.mark.parametrize(("store", "is_kept"), [("half", True), ("half-unread", False)])
def test_a_half_packed_store_is_finished_without_its_whole_shards(answer, store, is_kept):
    shard = Path(store, "train-000000.tar")
    before = shard.stat().st_ino, shard.stat().st_mtime_ns
    packed = answer("pack", "pictures", store, "--size", 32, "--json")
    assert packed["counts"] == {"train": 18, "val": 9}
    assert left_out(packed["quarantine"]) == [DAMAGED]
    assert ((shard.stat().st_ino, shard.stat().st_mtime_ns) == before) is is_kept


def test_a_claim_is_answered_by_the_runs_that_are_there(alexnet):
    changes = ("variant=toy", "input_size=67", "steps=12", "batch_size=4", "precision=float32")
    words = ("--data", "store", "--budget", "quick", "--seeds", 1, "--out", "claims", "--json")
    code, out, err = alexnet("claim", "lrn", *words, *(word for change in changes for word in ("--set", change)))
    assert code == 0, err
    assert "2 runs, 0 to be trained" in err
    result = json.loads(out)
    assert result["verdict"] == "not seen here"
    errors = {row["name"]: (row["top1_error"], row["training_error"]) for row in result["rows"]}
    assert errors["whole"] == pytest.approx((5 / 9, 11 / 18))
    assert errors["without-lrn"] == pytest.approx((2 / 9, 2 / 18))
    assert result["differences"]["top1"]["mean"] == pytest.approx(-1 / 3)
    assert Path("claims/lrn/claim.html").is_file()


def test_the_runs_of_a_claim_are_asked_again_if_their_answers_are_gone(alexnet):
    before = json.loads(Path("claims/lrn/claim.json").read_text())["rows"]
    for pattern in ("answers-1-views.npy", "training-error.json"):
        for path in Path("claims/runs").glob(f"*/{pattern}"):
            path.unlink()
    test_a_claim_is_answered_by_the_runs_that_are_there(alexnet)
    assert json.loads(Path("claims/lrn/claim.json").read_text())["rows"] == before

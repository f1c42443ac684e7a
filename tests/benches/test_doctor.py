import json
import math
import os
import shutil
from dataclasses import replace

import pytest

from alexnet import machine
from alexnet.benches import Size, doctor
from alexnet.benches.contest import Failed
from alexnet.benches.doctor import Stage
from alexnet.benches.findings import Figures
from alexnet.benches.proposal import Proposal, propose
from alexnet.cli import show_speed
from alexnet.data.open import open_data
from alexnet.errors import DataError, UsageError
from alexnet.records import to_json

SIZE = Size(seconds=0, batch=8, pictures=12)


@pytest.fixture
def launch(monkeypatch):
    """Replaces the processes: a loader of 1,000 and 10,000 images/s, steps of 100 images/s, 1 MB an image."""

    def measure(contestant, size):
        if contestant.name == "loading":
            return {Stage.DECODING: 1000.0, Stage.AUGMENTATION: 10000.0}
        return Figures(100.0, peak_bytes=1e9 + 1e6 * size.batch)

    monkeypatch.setattr(doctor, "launch", measure)
    monkeypatch.setattr(doctor.machine, "free_memory", lambda: 100_000_000)


@pytest.mark.usefixtures("launch")
def test_the_findings_name_what_bounds_training(store):
    findings = doctor.examine(str(store.directory), "toy", size=SIZE)
    written = json.loads(to_json(findings))
    assert " ".join(written) == "machine data rates shares pictures epoch_s largest_batch bound_by advice proposal"
    assert set(written["rates"]) == {"packing", "decoding", "augmentation", "disk MB/s", "disk", "step", "training"}
    assert findings.bound_by == "step"
    assert findings.rates["disk MB/s"] > 0
    assert sum(findings.shares.values()) == pytest.approx(1)
    assert findings.rates["training"] < 100
    assert any("step" in sentence for sentence in findings.advice)
    assert not any("packs" in sentence for sentence in findings.advice)
    shown = "\n".join(show_speed.doctor(findings))
    assert "training is bound by: step" in shown
    assert findings.machine.cpu in shown


@pytest.mark.usefixtures("launch")
def test_the_time_of_a_training_follows_from_the_rates(store, pictures, monkeypatch):
    """Kept decoded, an image takes 1 / 10000 + 1 / 100 seconds, otherwise decoding and the disk as well."""
    for data, kept in ((store.directory, True), (pictures, True), (pictures, False)):
        monkeypatch.setattr(doctor, "MEMORY_BUDGET", 2e9 if kept else 0)
        findings = doctor.examine(str(data), "toy", size=SIZE)
        each = 0.0101 + (0 if kept else 0.001 + 1 / findings.rates["disk"])
        assert findings.pictures == len(store.splits["train"])
        assert findings.epoch_s == pytest.approx(each * findings.pictures)
        assert f"training on these {findings.pictures} pictures\n  an epoch about" in "\n".join(
            show_speed.doctor(findings)
        )
    assert doctor.examine(None, "toy", size=SIZE).epoch_s is None


@pytest.mark.usefixtures("launch")
def test_the_largest_batch_follows_from_what_an_image_takes(store, monkeypatch):
    """Batches of 2 and 8 take 1.002 and 1.008 GB."""
    monkeypatch.setattr(doctor.machine, "free_memory", lambda: 1_108_000_000)
    assert doctor.examine(str(store.directory), "toy", size=SIZE).largest_batch == 108


def test_a_system_that_does_not_tell_its_peak_gets_no_largest_batch(store, monkeypatch):
    def measure(contestant, size):
        return {} if contestant.name == "loading" else Figures(100.0, peak_bytes=math.nan)

    monkeypatch.setattr(doctor, "launch", measure)
    assert doctor.examine(str(store.directory), "toy", size=SIZE).largest_batch is None


def test_slow_decoding_is_named(store, monkeypatch):
    rates = {Stage.DECODING: 10.0, Stage.AUGMENTATION: 1e4}
    measured = {"loading": rates, "training steps": Figures(1e3, peak_bytes=1e9)}
    monkeypatch.setattr(doctor, "launch", lambda contestant, size: measured[contestant.name])
    assert doctor.examine(str(store.directory), "toy", size=SIZE).bound_by == "decoding"


@pytest.mark.parametrize(
    ("stage", "advice"),
    [
        (Stage.DISK, "The disk bounds training: pack the pictures into a store on a faster disk"),
        (Stage.DECODING, "Decoding bounds training: more processor cores help, or a data set that fits in memory"),
        (Stage.AUGMENTATION, "Augmentation bounds training: more processor cores help."),
        (Stage.TRANSFER, "The way to the GPU bounds training"),
        (Stage.STEP, "The training step bounds training, as it should: only a smaller network"),
        (Stage.UNKNOWN, "The training step could not be measured."),
    ],
)
def test_the_advice_is_of_the_slowest_stage(stage, advice, store, monkeypatch):
    """The slowest stage makes 1 image a second, the others 1,000."""
    rates = {each: 1.0 if each == stage else 1e3 for each in doctor.EACH_IMAGE}
    step = None if stage == Stage.UNKNOWN else rates.pop(Stage.STEP)
    monkeypatch.setattr(doctor, "_loading", lambda *_: {**rates, Stage.PACKING: 1e3})
    monkeypatch.setattr(doctor, "_step", lambda *_: (step, None))
    findings = doctor.examine(str(store.directory), "toy", size=SIZE)
    assert findings.bound_by == stage
    assert sum(sentence.startswith(advice) for sentence in findings.advice) == 1
    others = [text for text in doctor.ADVICE.values() if not text.startswith(advice)]
    assert not set(others) & set(findings.advice)


FACTS = {"kernels": True, "threads": 8, "cores": 8, "bf16": True}
MACHINE = {
    "compiled kernels are missing": {"kernels": False},
    "PyTorch takes 2 of 8 cores": {"threads": 2},
    "no bf16 instructions": {"bf16": False},
    "": {},
}


@pytest.mark.usefixtures("launch")
@pytest.mark.parametrize("advice", MACHINE)
def test_the_machine_is_blamed_for_what_it_lacks_alone(advice, store, monkeypatch):
    facts = replace(machine.facts(), **FACTS)
    monkeypatch.setattr(doctor.machine, "facts", lambda: replace(facts, **MACHINE[advice]))
    sentences = "\n".join(doctor.examine(str(store.directory), "toy", size=SIZE).advice)
    assert [text for text in MACHINE if text and text in sentences] == [advice] * bool(advice)


@pytest.mark.usefixtures("launch")
@pytest.mark.parametrize(("pictures_s", "is_said"), [(0.05, True), (10.0, False)])
def test_only_packing_that_takes_long_is_announced(pictures, store, monkeypatch, pictures_s, is_said):
    """18 pictures take 6 minutes, or 2 seconds; a store is packed already."""
    monkeypatch.setattr(doctor, "_loading", lambda *_: dict.fromkeys(doctor.Stage, pictures_s))
    said = [any("packs 18 pictures, about 6 min" in each for each in doctor.examine(str(data), "toy", size=SIZE).advice)
            for data in (pictures, store.directory)]  # fmt: skip
    assert said == [is_said, False]


@pytest.mark.usefixtures("launch")
@pytest.mark.parametrize(
    ("free", "advice"), [(0, "batch_size=8"), (119_000_000, "batch_size=127"), (120_000_000, None)]
)
def test_a_smaller_batch_is_advised_only_where_the_papers_does_not_fit(store, monkeypatch, free, advice):
    """8 images take 1.008 GB, each further one 1 MB."""
    monkeypatch.setattr(doctor.machine, "free_memory", lambda: 1_008_000_000 + free)
    sentences = [each for each in doctor.examine(str(store.directory), "toy", size=SIZE).advice if "batch" in each]
    assert len(sentences) == bool(advice)
    assert not advice or sentences[0] == f"A batch of 128 does not fit in memory: train with {advice}."


@pytest.mark.usefixtures("launch")
@pytest.mark.parametrize(("budget", "is_said"), [(18 * 76 * 76 * 3, True), (18 * 76 * 76 * 3 - 1, False)])
def test_pictures_are_said_to_be_kept_decoded_only_where_they_fit(store, monkeypatch, budget, is_said):
    monkeypatch.setattr(doctor, "MEMORY_BUDGET", budget)
    sentence = "Decoded, these pictures fit in memory: they are decoded in the first epoch only."
    findings = doctor.examine(str(store.directory), "toy", size=replace(SIZE, input_size=67))
    assert (sentence in findings.advice) == is_said


@pytest.mark.usefixtures("launch")
def test_no_batch_fits_where_there_is_too_little_memory(pictures):
    findings = doctor.examine(str(pictures), "toy", size=SIZE)
    assert findings.largest_batch == 0
    assert any("does not fit" in sentence for sentence in findings.advice)
    assert any("these pictures fit in memory" in sentence for sentence in findings.advice)


def test_what_cannot_be_measured_is_said(monkeypatch, store, notices):
    def fail(contestant, size):
        raise Failed("no memory")

    monkeypatch.setattr(doctor, "launch", fail)
    findings = doctor.examine(str(store.directory), "toy", observer=notices, size=SIZE)
    assert "not measured: training steps: no memory" in notices.lines
    assert findings.bound_by == "unknown"
    assert show_speed.doctor(findings)


def test_loading_is_measured_in_images_a_second(store):
    rates = doctor.loading(SIZE, store.directory, "toy", 67)
    assert rates["decoding"] > 0
    assert rates["augmentation"] > 0


def test_an_unknown_variant_or_source_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no variant"):
        doctor.examine(None, "lenet", size=SIZE)
    with pytest.raises(UsageError):
        doctor.examine(str(tmp_path / "absent"), "toy", size=SIZE)


@pytest.mark.usefixtures("launch")
def test_pipes_dead_links_and_linked_classes_are_read_as_training_reads_them(pictures, tmp_path):
    folder = tmp_path / "linked"
    folder.mkdir()
    for split in ("train", "val"):
        (folder / split).mkdir()
        for each in (pictures / split).iterdir():
            (folder / split / each.name).symlink_to(each)
    shutil.copytree(pictures / "train/red", tmp_path / "red")
    (folder / "train/red").unlink()
    (folder / "train/red").symlink_to(tmp_path / "red")
    (tmp_path / "red/dead.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(tmp_path / "red/pipe.jpg")
    findings = doctor.examine(str(folder), "toy", size=SIZE)
    assert findings.pictures == 18
    assert findings.rates["disk MB/s"] > 0
    assert "packing" in findings.rates


@pytest.mark.usefixtures("launch")
@pytest.mark.parametrize(
    ("names", "told"), [(["train/red"], "one class only"), (["val/red", "val/blue"], "no train folder"), ([], "no pic")]
)
def test_what_training_refuses_is_refused(make_folder, tmp_path, names, told):
    (tmp_path / "data").mkdir()
    data = make_folder(tmp_path / "data", dict.fromkeys(names, 2))
    with pytest.raises(DataError, match=told) as by_doctor:
        doctor.examine(str(data), "toy", size=SIZE)
    with pytest.raises(DataError) as by_training:
        open_data(data)
    assert str(by_doctor.value) == str(by_training.value)


def test_an_input_that_makes_no_network_is_refused():
    with pytest.raises(UsageError, match="40 pixels are too few for toy; the smallest input is "):
        doctor.examine(None, "toy", size=replace(SIZE, input_size=40))


@pytest.mark.usefixtures("launch")
def test_small_pictures_get_the_recipe_and_sizes_for_them(alexnet, make_folder, tmp_path):
    """The pictures have a shorter side of 64 pixels; 100 images a second train 12 pictures 90 times in 10.9 s."""
    names = [f"{split}/{name}" for split in ("train", "val") for name in ("red", "blue")]
    data = make_folder(tmp_path / "data", dict.fromkeys(names, 6), 64)
    proposal = doctor.examine(str(data), "toy", size=replace(SIZE, input_size=99)).proposal
    assert replace(proposal, seconds=None) == Proposal(True, "tiny-imagenet", 99, 112, 90, None, 64)
    assert proposal.seconds == pytest.approx(90 * 12 * 0.0101)
    code, out, _ = alexnet("doctor", "--data", data, "--variant", "toy", "--input-size", 99)
    assert code == 0
    sizes = "--input-size 99 --set stored_size=112 --epochs 90"
    assert out.endswith(
        f"\nto begin with, from trained weights, as so few pictures need\n"
        f"  alexnet train finetune --data {data} --out runs/mine\n"
        f"from scratch, for pictures of about 64 pixels, about 10.9 s\n"
        f"  alexnet train tiny-imagenet --data {data} --out runs/mine {sizes}\n"
    )


@pytest.mark.parametrize(
    ("pictures", "side", "image_s", "hours", "right"),
    [
        (1_281_167, 375, 1 / 2000, 8, ("modern", 227, 256, 40)),  # 7.1 h
        (1_281_167, 375, 1 / 200, 8, ("modern", 99, 112, 23)),  # one epoch at 227 takes 1.8 h, at 99 0.34 h
        (1_281_167, 375, 1 / 20, 8, ("modern", 67, 76, 10)),  # more than there is time for: as little as makes sense
        (100_000, 64, 1 / 300, 8, ("tiny-imagenet", 99, 112, 28)),
        (50_000, 32, 1 / 300, 8, ("tiny-imagenet", 67, 76, 28)),
        (2_000, 300, 1 / 300, 8, ("modern", 227, 256, 90)),
        (2_000, None, None, 8, ("modern", 227, 256, 90)),
    ],
)
def test_the_proposed_training_fits_the_pictures_and_the_hours(pictures, side, image_s, hours, right):
    proposal = propose("alexnet", pictures, side, image_s, 227, hours)
    assert proposal.is_last_resort == (pictures == 2_000)
    assert (proposal.recipe, proposal.input_size, proposal.stored_size, proposal.epochs) == right

"""Pictures that a network was trained on are known wherever they turn up, and never measured unsaid."""

import random
import shutil
import tarfile

import pytest
from msgspec import structs

from alexnet import config, recipes
from alexnet.data.listing import digest
from alexnet.data.open import open_data
from alexnet.data.pack import pack
from alexnet.data.sources import open_source
from alexnet.errors import CheckpointError
from alexnet.evaluation.classifier import load
from alexnet.evaluation.evaluate import evaluate
from alexnet.evaluation.overlap import overlap
from alexnet.foreign.trained import open_trained
from alexnet.run import Run
from alexnet.training.loop import begin, resume
from alexnet.training.transfer import take_over


@pytest.fixture
def flat(make_folder, tmp_path):
    """A folder without splits."""
    return make_folder(tmp_path / "flat", {"blue": 12, "green": 10, "red": 11})


def trained(settings, folder, run):
    store = open_data(folder, size=76)
    with begin(settings, store, str(folder), Run(run)) as training:
        assert training.run()
    return store


@pytest.fixture
def flat_run(settings, flat, tmp_path):
    """A run on `flat`, and the bytes of its training pictures."""
    split = trained(settings, flat, tmp_path / "run").splits["train"]
    return tmp_path / "run", {(flat / split.name(i)).read_bytes() for i in range(len(split))}


def edit(root, dice, make_folder):
    """Adds, removes, renames, moves or copies a picture, or renames a class back and forth."""
    pictures = sorted(root.rglob("*.jpg"))
    one, other = dice.choice(pictures), dice.choice(pictures).parent
    name = f"{dice.randrange(10**9)}.jpg"
    kind = dice.choice(["add", "remove", "rename", "move", "copy", "again"])
    if kind == "add":
        new = make_folder(root.parent / "new" / name, {"red": 1}) / "red" / "000.jpg"
        (other / name).write_bytes(new.read_bytes() + name.encode())  # what follows a JPEG's end changes no pixel
    elif kind == "remove" and len(list(one.parent.iterdir())) > 3:
        one.unlink()
    elif kind in ("rename", "move"):
        one.rename((one.parent if kind == "rename" or len(list(one.parent.iterdir())) < 4 else other) / name)
    elif kind == "copy":
        shutil.copy(one, other / name)
    elif kind == "again":
        (root / "red").rename(root / "violet")
        (root / "violet").rename(root / "red")


def is_trained(store, masks, root, training_bytes):
    """Gives what the masks should be, from the files themselves."""
    for name in masks:
        split = store.splits[name]
        yield [(root / split.name(i)).read_bytes() in training_bytes for i in range(len(split))]


def test_after_100_random_edits_no_training_picture_is_measured_unsaid(flat, flat_run, make_folder):
    run, training_bytes = flat_run
    dice, network = random.Random(0), load(run, numbers="float32")
    known = 0
    for _ in range(4):
        for _ in range(25):
            edit(flat, dice, make_folder)
        store = open_data(flat, size=76)
        masks = overlap([(run, network.header)], store, "train+val")
        assert [mask.tolist() for mask in masks.values()] == list(is_trained(store, masks, flat, training_bytes))
        known += int(masks["train"].sum())
    assert known > 20
    evaluation, examples = evaluate([network], store, "train+val", trained_on=masks)
    count = sum(int(mask.sum()) for mask in masks.values())
    assert (evaluation.n, evaluation.trained_on, evaluation.left_out) == (
        sum(map(len, masks.values())) - count,
        *[count] * 2,
    )
    shown = [example.name for example in (*examples.sample, *examples.mistakes)]
    assert not any((flat / name).read_bytes() in training_bytes for name in shown)


def test_a_run_lists_its_pictures_by_their_bytes(flat_run):
    run, training_bytes = flat_run
    assert Run(run).pictures().tolist() == sorted(digest(data) for data in training_bytes)


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_fine_tuned_run_lists_its_pictures_too(run, store, tmp_path, epochs):
    origin = open_trained(run)
    tuning = take_over(config.change(recipes.FINETUNE, {"epochs": epochs, "batch_size": 4}), {}, origin)
    with begin(tuning, store, "colours", Run(tmp_path / "tuned"), trained=origin) as training:
        assert training.run()
    assert Run(tmp_path / "tuned").pictures().tolist() == Run(run).pictures().tolist()


def test_a_run_that_ended_before_its_pictures_were_listed_lists_them_when_it_goes_on(
    run, settings, store, tmp_path, monkeypatch
):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "keep_pictures", killed)
    with pytest.raises(KeyboardInterrupt), begin(settings, store, "colours", Run(tmp_path / "cut")):
        pass
    assert (tmp_path / "cut" / "config.json").exists()
    monkeypatch.undo()
    with resume(store, Run(tmp_path / "cut")):
        assert Run(tmp_path / "cut").pictures().tolist() == Run(run).pictures().tolist()


def test_pictures_are_known_in_archives_stores_and_other_folders(flat_run, flat, tmp_path):
    run, training_bytes = flat_run
    other = tmp_path / "other"
    for colour in ("blue", "green", "red"):
        for i, path in enumerate(sorted((flat / colour).iterdir())):
            place = other / ("train", "val")[i % 2] / colour
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place / f"renamed {path.name}")
    with tarfile.open(tmp_path / "other.tar", "w") as tar:
        tar.add(other, "other")
    store = pack(open_source(other), tmp_path / "store", size=80)
    again = open_data(store.directory, size=76, is_resized=True)  # its pictures were compressed twice
    for data in (open_data(other, size=76), open_data(tmp_path / "other.tar", size=76), store, again):
        masks = overlap([(run, load(run).header)], data, "val")
        names = [data.splits["val"].name(i).removeprefix("other/") for i in range(len(masks["val"]))]
        assert masks["val"].tolist() == [(other / name).read_bytes() in training_bytes for name in names]
        assert 0 < masks["val"].sum() < len(names)


def test_several_networks_have_seen_what_any_of_them_has(
    run, store, flat_run, pictures, settings, make_folder, tmp_path
):
    more = make_folder(
        tmp_path / "more", {f"{split}/{c}": 2 for split in ("train", "val") for c in ("blue", "red", "green")}
    )
    shutil.copy(pictures / "train" / "red" / "003.jpg", more / "val" / "red" / "003.jpg")
    trained(settings, more, tmp_path / "run-more")
    networks = [(path, load(path).header) for path in (run, tmp_path / "run-more")]
    data = open_data(more, size=76)
    assert [overlap([each], data, "val")["val"].sum() for each in networks] == [1, 0]
    assert overlap(networks, data, "val")["val"].sum() == 1
    assert overlap(networks, data, "train")["train"].sum() == 6


def test_what_is_not_recorded_is_not_known(run, store, make_folder, tmp_path):
    folder, header = tmp_path / "old", load(run).header
    shutil.copytree(run, folder)
    (folder / "pictures.npy").unlink()
    other = open_data(
        make_folder(tmp_path / "more", {f"{s}/{c}": 1 for s in ("train", "val") for c in ("blue", "red")})
    )
    assert overlap([(folder, header)], other, "val") is None
    assert overlap([(folder, header)], store, "val")["val"].sum() == 0  # its own store
    assert overlap([(folder, header)], store, "train+val")["train"].sum() == 18
    assert overlap([(folder / "model.safetensors", header), (run, header)], other, "val") is None
    assert overlap([(run / "model.safetensors", header)], other, "val") is not None
    assert overlap([(run, structs.replace(header, data=None))], store, "val") is None  # another network's weights


def test_a_damaged_list_of_pictures_is_named(run, store, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(run, folder)
    whole = (run / "pictures.npy").read_bytes()
    huge = whole[: whole.index(b"(")] + b"(99999999999999999999,), }".ljust(128 - whole.index(b"("))
    for content in (b"", b"rubbish", whole[:-3], huge):
        (folder / "pictures.npy").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"pictures\.npy is damaged"):
            overlap([(folder, load(run).header)], store, "val")


def test_pictures_of_training_are_measured_where_nothing_else_is_left(run, store):
    network = load(run, numbers="float32")
    masks = overlap([(run, network.header)], store, "train")
    evaluation, _ = evaluate([network], store, "train", trained_on=masks)
    assert (evaluation.n, evaluation.trained_on, evaluation.left_out) == (18, 18, 0)
    masks = overlap([(run, network.header)], store, "train+val")
    both = [evaluate([network], store, "train+val", trained_on=masks, include_training=it)[0] for it in (False, True)]
    assert [(each.n, each.trained_on, each.left_out) for each in both] == [(9, 18, 18), (27, 18, 0)]

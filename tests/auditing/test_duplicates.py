"""Exact and near duplicates among made-up pictures, and look-alikes that are none."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from alexnet.auditing import cached_features as caching
from alexnet.auditing.cached_features import cached_features
from alexnet.auditing.duplicates import find, groups
from alexnet.data.open import open_data
from alexnet.evaluation.classifier import load
from alexnet.records import Member, Pair

SIDE = 160


def scene(seed, ground=None):
    """A picture of some coloured shapes on a ground."""
    random = np.random.default_rng(seed)
    colours = random.integers(0, 256, (13, 3))
    picture = Image.new("RGB", (SIDE, SIDE), ground or tuple(colours[0].tolist()))
    draw = ImageDraw.Draw(picture)
    for colour in colours[1:]:
        x, y = random.integers(0, SIDE - 20, 2).tolist()
        width, height = random.integers(15, 70, 2).tolist()
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape((x, y, x + width, y + height), fill=tuple(colour.tolist()))
    return picture


def resaved(picture):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=30)
    return Image.open(file)


TRANSFORMED = {
    "resaved": (resaved, "same"),
    "smaller": (lambda picture: picture.resize((120, 120)), "same"),
    "cropped": (lambda picture: picture.crop((20, 5, 148, 133)), "same"),
    "mirrored": (ImageOps.mirror, "mirrored"),
    "turned": (lambda picture: picture.rotate(270), "turned 90"),
    "upside-down": (ImageOps.flip, "mirrored, turned 180"),
    "coloured": (
        lambda picture: Image.fromarray((np.asarray(picture) * [1, 0.8, 0.7] + 20).clip(0, 255).astype(np.uint8)),
        "same",
    ),
}


@pytest.fixture(scope="module")
def network():
    return load("tiny-imagenet", numbers="float32")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALEXNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield tmp_path_factory.mktemp("pictures")


def save(picture, place):
    place.parent.mkdir(parents=True, exist_ok=True)
    picture.save(place)


@pytest.fixture(scope="module")
def store(place, network):
    for number, (name, (change, _)) in enumerate(TRANSFORMED.items()):
        save(scene(number), place / f"train/a/{name}.png")
        save(change(scene(number)), place / f"test/a/{name}.png")
    save(scene(20), place / "train/a/copied.png")
    save(scene(20), place / "train/b/copied.bmp")
    save(scene(20), place / "test/b/copied.png")
    for number in range(30, 34):  # as shirts lie on a white ground
        picture = Image.new("RGB", (SIDE, SIDE), "white")
        picture.paste(scene(number).resize((60, 80)), (50, 40))
        save(picture, place / f"train/b/alike-{number}.png")
    save(Image.new("RGB", (SIDE, SIDE), (250, 250, 250)), place / "train/b/white.png")
    save(Image.new("RGB", (SIDE, SIDE), (240, 240, 240)), place / "test/b/gray.png")
    return open_data(place, size=network.stored_size)


@pytest.fixture(scope="module")
def duplicates(store, network):
    return find(cached_features(network, store))


def names(pair):
    return {f"{member.split} {member.name.split('/')[-1].split('.')[0]}" for member in (pair.first, pair.second)}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_a_transformed_copy_is_found_with_its_transformation(duplicates, name):
    (pair,) = [pair for pair in duplicates.pairs if f"test {name}" in names(pair)]
    assert names(pair) == {f"train {name}", f"test {name}"}
    assert (pair.kind, pair.alignment) == ("near", TRANSFORMED[name][1])
    assert pair.agreement > 0.8


def test_a_lossless_copy_is_exact_whatever_its_format(duplicates):
    copies = [pair for pair in duplicates.pairs if pair.kind == "exact"]
    assert [(pair.second.split, pair.second.name.split("/")[-1], pair.agreement) for pair in copies] == [
        ("test", "copied.png", 1.0),
        ("train", "copied.bmp", 1.0),
    ]


def test_shapes_alike_on_a_plain_ground_and_plain_pictures_are_no_duplicates(duplicates):
    everything = set().union(*map(names, duplicates.pairs))
    assert not {name for name in everything if "alike" in name or "white" in name or "gray" in name}


def test_leaks_come_first_then_two_labels(duplicates):
    ranks = [(pair.is_across, pair.has_two_labels) for pair in duplicates.pairs]
    assert ranks == [(True, True), *[(True, False)] * len(TRANSFORMED), (False, True)]


def test_pairs_that_share_a_picture_are_one_group(duplicates):
    sizes = sorted(len(group) for group in duplicates.groups)
    assert sizes == [*[2] * len(TRANSFORMED), 3]


def test_two_groups_become_one_by_a_pair_between_them():
    a, b, c, d = (Member(split="train", place=i, name=str(i), class_name="x") for i in range(4))
    chain = [
        Pair(first=one, second=other, kind="near", alignment="same", similarity=1, agreement=1)
        for one, other in ((a, b), (c, d), (b, c))
    ]
    assert groups(chain) == [(a, b, c, d)]
    assert groups(chain[:2]) == [(a, b), (c, d)]


def test_an_interrupted_extraction_goes_on_and_a_finished_one_computes_nothing(store, network, tmp_path, monkeypatch):
    whole = cached_features(network, store)
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path))
    monkeypatch.setattr(caching, "BATCH", 4)
    monkeypatch.setattr(caching, "STRIDE", 8)
    computed, is_killed = [], True

    class Torn(type(network)):
        def layers(self, pictures, *names):
            computed.append(len(pictures))
            if len(computed) == 5 and is_killed:
                raise KeyboardInterrupt
            return super().layers(pictures, *names)

    torn = Torn(network.model, network.mean, network.dtype, network.header)
    with pytest.raises(KeyboardInterrupt):
        cached_features(torn, store)
    computed.clear()
    is_killed = False
    again = cached_features(torn, store)
    assert sum(computed) == 1 + len(whole.digests) - 8
    np.testing.assert_allclose(again.features, whole.features, atol=0.01)
    np.testing.assert_array_equal(again.thumbnails, whole.thumbnails)
    np.testing.assert_array_equal(again.digests, whole.digests)
    computed.clear()
    cached_features(torn, store)
    assert computed == [1]


def test_features_of_another_network_or_store_are_not_taken(store, network):
    own = caching._key(network, store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "content_hash", "another")
        assert caching._key(network, store) != own
    weight = next(iter(network.model.parameters()))
    before = weight.data.clone()
    weight.data[0] += 1
    assert caching._key(network, store) != own
    weight.data.copy_(before)
    assert caching._key(network, store) == own

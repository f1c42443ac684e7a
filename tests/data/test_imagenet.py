"""ImageNet's classes in both orders, and the classes a user gives."""

import json

import pytest

from alexnet.data.imagenet import DEVKIT, WORDNET, imagenet, read_classes, words
from alexnet.errors import UsageError


def test_both_orders_hold_the_same_thousand():
    assert len(set(imagenet(DEVKIT))) == 1000
    assert imagenet(WORDNET) == tuple(sorted(imagenet(DEVKIT)))


@pytest.mark.parametrize(
    ("number", "wordnet_id", "place"),
    [(490, "n01751748", 65), (361, "n09193705", 970), (171, "n02105855", 230), (822, "n04263257", 809)],
)
def test_the_orders_agree_with_the_ground_truth_of_validation_pictures(number, wordnet_id, place):
    """Pictures 1 to 4: lines of ILSVRC2012_validation_ground_truth.txt, and of Caffe's val.txt."""
    assert imagenet(DEVKIT)[number - 1] == imagenet(WORDNET)[place] == wordnet_id


def test_words_are_for_classes_of_imagenet_only():
    assert words("n01440764") == "tench, Tinca tinca"
    assert words("red") is None


def test_a_file_names_classes_by_line_or_as_json(tmp_path):
    path = tmp_path / "classes"
    path.write_text("n01440764 tench, Tinca tinca\r\nred fox\n\n")
    assert read_classes(str(path), 2) == ("n01440764", "red fox")
    path.write_text(json.dumps(["a", "b"]))
    assert read_classes(str(path), 2) == ("a", "b")


def test_words_that_name_two_classes_of_imagenet_are_refused_with_the_ids_that_do_not(tmp_path):
    path = tmp_path / "imagenet_classes.txt"
    path.write_text("\n".join([*(f"class {i}" for i in range(998)), "crane", "crane"]))
    remedy = r"'crane' twice \(classes 999 and 1,000\).*rename one, or give `classes=imagenet-wordnet`"
    with pytest.raises(UsageError, match=remedy):
        read_classes(str(path), 1000)


@pytest.mark.parametrize(
    ("text", "told"),
    [("a\na\n", "'a' twice"), ("a\n", "names 1 classes, the network has 2"), ("[", "neither text nor a JSON list")],
)
def test_a_list_that_does_not_fit_is_refused(tmp_path, text, told):
    (tmp_path / "classes").write_text(text)
    with pytest.raises(UsageError, match=told):
        read_classes(str(tmp_path / "classes"), 2)

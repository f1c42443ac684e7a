"""Classes as people read them: in words, short, and never two alike."""

import pytest

from alexnet.data.imagenet import WORDNET, imagenet
from alexnet.data.labels import in_words, labels, short_labels

CRANES = ("n02012849", "n03126707")


def test_classes_of_imagenet_are_words_and_others_stay_as_they_are():
    assert labels(["n01440764", "red fox"]) == {"n01440764": "tench, Tinca tinca", "red fox": "red fox"}
    assert in_words("n01440764") == "n01440764 tench, Tinca tinca"
    assert in_words("red fox") == "red fox"


def test_two_classes_of_the_same_words_keep_their_ids():
    assert labels(CRANES) == {"n02012849": "n02012849 crane", "n03126707": "n03126707 crane"}
    assert labels(["crane", "n02012849"]) == {"crane": "crane", "n02012849": "n02012849 crane"}
    assert labels(["n02012849"]) == {"n02012849": "crane"}


@pytest.mark.parametrize("most", [1, 2, 8, 12, 24])
def test_a_thousand_classes_have_a_thousand_labels_however_short(most):
    assert len(set(labels(imagenet(WORDNET)).values())) == 1000
    assert len(set(short_labels(imagenet(WORDNET), most).values())) == 1000


def test_long_labels_are_cut_in_the_middle():
    assert short_labels(["n02111889", "red fox"], 12) == {"n02111889": "Samoye…oyede", "red fox": "red fox"}
    assert list(short_labels(["0123456789"], 9).values()) == ["0123…6789"]
    assert list(short_labels(["0123456789"], 10).values()) == ["0123456789"]


def test_what_tells_two_classes_apart_is_not_cut_away():
    names = [f"{'left ' * 8}{letter}{' right' * 8}" for letter in "AB"]
    short = short_labels([*names, "another class of many letters"], 20)
    assert [short[name] for name in names] == names
    assert short["another class of many letters"] == "another cl…y letters"


def test_a_cut_label_is_never_that_of_a_class_whose_name_has_the_mark():
    assert len(set(short_labels(["abcdefgh", "ab…gh", "abxxgh"], 5).values())) == 3

"""Settings: strict in both directions."""

import json
from dataclasses import fields, replace

import pytest

from alexnet import config, recipes
from alexnet.config import PAPER, Train
from alexnet.errors import UsageError
from alexnet.recipes import MODERN, RECIPES


def override(train, texts):
    return config.change(train, config.assignments(texts))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_json(name):
    train = recipes.recipe(name)
    assert train.recipe == name
    assert config.from_json(json.loads(json.dumps(config.to_json(train)))) == train


def test_every_setting_survives_json():
    changed = replace(MODERN, input_size=99, crops=False, steps=7, colour="none", bias_decay=True, seed=2**63 - 1)
    assert config.from_json(json.loads(json.dumps(config.to_json(changed)))) == changed
    assert set(config.to_json(changed)) == {field.name for field in fields(Train)}


def test_the_paper_is_the_paper():
    assert (PAPER.batch_size, PAPER.momentum, PAPER.weight_decay, PAPER.learning_rate) == (128, 0.9, 5e-4, 0.01)
    assert (PAPER.dropout, PAPER.schedule, PAPER.colour_strength, PAPER.colour) == (0.5, "plateau", 0.1, "lecture")
    assert PAPER.smallest_crop == 1
    assert not PAPER.turns
    assert PAPER.divide_pixels_by == 1


def test_an_unknown_setting_is_named_with_the_nearest():
    with pytest.raises(UsageError, match=r"no setting 'learnin_rate'; perhaps 'learning_rate'$"):
        config.from_json({"learnin_rate": 0.1})
    with pytest.raises(UsageError, match=r"no setting 'zzz'$"):
        override(PAPER, ["zzz=1"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 12.5),
        ("batch_size", True),
        ("batch_size", "128"),
        ("lrn", 1),
        ("lrn", "yes"),
        ("steps", 1.5),
        ("seed", None),
        ("learning_rate", "fast"),
        ("learning_rate", False),
        ("variant", 3),
        ("epochs", [1]),
    ],
)
def test_a_value_of_another_type_is_refused(name, value):
    with pytest.raises(UsageError, match=f"^{name} takes "):
        config.from_json({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("learning_rate", -1.0),
        ("learning_rate", float("nan")),
        ("batch_size", 0),
        ("epochs", float("inf")),
        ("momentum", 1.0),
        ("smallest_crop", 0.0),
        ("smallest_crop", 1.5),
        ("divide_pixels_by", 0.0),
        ("evaluate_every", 0.0),
        ("input_size", 0),
        ("seed", -1),
        ("seed", 2**63),
        ("patience", 0),
        ("bias_rate", -1.0),
        ("bias_rate", float("nan")),
        ("label_smoothing", 1.0),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(name, value):
    with pytest.raises(UsageError, match=rf"^{name} must lie between .* and .*, got "):
        replace(PAPER, **{name: value})


@pytest.mark.parametrize("name", config.CHOICES)
def test_a_choice_that_is_none_is_refused_with_the_choices(name):
    with pytest.raises(UsageError, match=f"{name} must be one of {', '.join(config.CHOICES[name])}, got 'other'"):
        replace(PAPER, **{name: "other"})


def test_every_number_has_a_range():
    numbers = {field.name for field in fields(Train) if field.type in (int, float, int | None)}
    assert numbers == set(config.RANGES)


def test_overrides_are_read_by_type():
    found = override(
        PAPER,
        ["learning_rate=1e-3", "lrn=false", "turns=True", "steps=10", "input_size=None", "colour=none", "epochs=3"],
    )
    assert (found.learning_rate, found.lrn, found.turns, found.steps) == (1e-3, False, True, 10)
    assert (found.input_size, found.colour, found.epochs) == (None, "none", 3)
    assert override(PAPER, []) == PAPER


def test_the_last_override_wins():
    assert override(PAPER, ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize("assignment", ["learning_rate", "", "lrn=maybe", "steps=many", "=3", "seed="])
def test_an_override_that_cannot_be_read_is_refused(assignment):
    with pytest.raises(UsageError):
        override(PAPER, [assignment])


def test_an_unknown_recipe_is_answered_with_the_recipes():
    with pytest.raises(UsageError, match="no recipe 'papier'; perhaps 'paper'"):
        recipes.recipe("papier")


def test_settings_import_no_torch(toy_program):
    ended = toy_program(
        "import sys, alexnet, alexnet.config, alexnet.errors, alexnet.seeds\nprint('torch' in sys.modules)"
    )
    assert ended.stdout == "False\n", ended.stderr


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000])
def test_a_value_that_no_number_or_bracket_should_be_is_text_and_refused(text):
    with pytest.raises(UsageError, match=r"^learning_rate takes float, got '"):
        override(PAPER, [f"learning_rate={text}"])


@pytest.mark.parametrize("settings", [None, [1], "paper"])
def test_settings_that_are_no_object_are_refused(settings):
    with pytest.raises(UsageError, match=r"^settings are a JSON object, got "):
        config.from_json(settings)

"""A training that starts from a trained network."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from alexnet import config, recipes
from alexnet.errors import DataError, TrainingError, UsageError
from alexnet.foreign.trained import open_trained
from alexnet.models.create import build
from alexnet.models.variants import VARIANTS
from alexnet.observer import Observer
from alexnet.run import Run
from alexnet.team import ALONE
from alexnet.training.head import _features, fit
from alexnet.training.loop import begin, resume
from alexnet.training.start import begin_slower, renew
from alexnet.training.transfer import (
    check_classes,
    freeze,
    frozen,
    input_for,
    matches,
    plant,
    rate_of,
    renewed,
    take_over,
)
from alexnet.weights import checkpoint

CHANGES = {"steps": 5, "batch_size": 4, "precision": "float32", "evaluate_every": 0.45}
CHANGES |= {"renew": "none", "learning_rate": 0.002, "body_rate": 0.02}  # all layers kept, as by the recipe `demo`


class Stop(Observer):
    """Asks to stop after so many steps, and keeps what it is told."""

    def __init__(self, after=1000):
        self.after, self.steps, self.notices = after, 0, []

    def stepped(self, step, total, loss, images_per_s):
        self.steps += 1

    def notice(self, text):
        self.notices.append(text)

    def should_stop(self):
        return self.steps >= self.after


@pytest.fixture(scope="module")
def trained(run):
    return open_trained(run)


@pytest.fixture
def tuning(trained):
    return take_over(config.change(recipes.FINETUNE, CHANGES), CHANGES, trained)


@pytest.fixture
def tune(trained, store):
    """A function that tunes `trained` in a folder, and gives whether it came to the end."""

    def run(settings, folder, observer=None, trained=trained):
        with begin(settings, store, "colours", Run(folder), observer, trained=trained) as training:
            return training.run()

    return run


def tensors(path):
    loaded = checkpoint.load(path)
    return {**loaded.model.state_dict(), **{f"momentum.{name}": each for name, each in loaded.momentum.items()}}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_without_a_step_fc7_answers_as_the_source_does_to_the_bit(tune, tuning, trained, tmp_path):
    assert tune(replace(tuning, steps=None, epochs=0), tmp_path / "probe")
    tuned = checkpoint.load(tmp_path / "probe" / "model.safetensors").model
    images = torch.randn(3, 3, 67, 67, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(tuned.features(images), trained.weights.model.features(images))
    assert not torch.equal(tuned.fc8.weight, trained.weights.model.fc8.weight)


def test_the_source_decides_design_mean_and_divisor(tune, tuning, trained, store, tmp_path):
    other = store.with_mean(np.zeros_like(store.mean_image))
    with begin(tuning, other, "colours", Run(tmp_path / "run"), trained=trained) as training:
        assert np.array_equal(training.store.mean_image, trained.weights.mean)
        assert training.model.design == trained.weights.model.design
        assert training.settings.divide_pixels_by == 64
        training.run()
    loaded = checkpoint.load(tmp_path / "run" / "last.safetensors")
    assert np.array_equal(loaded.mean, trained.weights.mean)


def test_a_run_names_its_ancestor_by_name_and_hash(tune, tuning, trained, run, tmp_path):
    tune(tuning, tmp_path / "run")
    ancestor = checkpoint.read_header(tmp_path / "run" / "model.safetensors").ancestor
    assert (ancestor.name, ancestor.sha256) == (run.name, trained.sha256)
    assert ancestor.classes == {"blue": "blue", "green": "green", "red": "red"}
    rates = {layer.layer: layer.rate for layer in ancestor.layers}
    assert rates == {**dict.fromkeys(list(rates)[:-1], 0.00004), "fc8": 0.002}


@pytest.mark.parametrize("renew", ["none", "fc6"])
@pytest.mark.parametrize("after", [1, 2, 4])
def test_a_stop_after_any_step_changes_no_bit(tune, tuning, store, tmp_path, after, renew):
    tuning = replace(tuning, renew=renew)
    tune(tuning, tmp_path / "whole")
    assert not tune(tuning, tmp_path / "cut", Stop(after))
    with resume(store, Run(tmp_path / "cut")) as training:
        assert training.run()
    for name in ("last.safetensors", "model.safetensors", "frozen.safetensors"):
        assert same(tensors(tmp_path / "cut" / name), tensors(tmp_path / "whole" / name))


@pytest.mark.parametrize("renew", ["none", "fc6"])
@pytest.mark.parametrize("place", ["features", "head", "frozen", "renewal", "evaluation"])
def test_a_kill_in_the_first_stage_changes_no_bit(tune, tuning, store, tmp_path, monkeypatch, place, renew):
    tuning = replace(tuning, renew=renew)
    tune(tuning, tmp_path / "whole")
    with monkeypatch.context() as patch:

        def die(*arguments, **more):
            raise KeyboardInterrupt

        target = {
            "features": "alexnet.training.head._features",
            "head": "alexnet.training.head.fit",
            "frozen": "alexnet.training.loop.Training.run",
            "renewal": "alexnet.training.loop.renew",
            "evaluation": "alexnet.training.loop.Training.save",
        }
        patch.setattr(target[place], die)
        with pytest.raises(KeyboardInterrupt):
            tune(tuning, tmp_path / "cut")
    with resume(store, Run(tmp_path / "cut")) as training:
        assert training.run()
    for name in ("last.safetensors", "model.safetensors", "frozen.safetensors"):
        assert same(tensors(tmp_path / "cut" / name), tensors(tmp_path / "whole" / name))
    rows = [[row.step for row in Run(tmp_path / name).rows().validations] for name in ("cut", "whole")]
    assert rows[0] == rows[1]
    assert rows[0][0] == 0


@pytest.mark.parametrize("last", ["conv3", "conv5", "fc7"])
def test_frozen_layers_stay_and_have_no_gradient(tune, tuning, trained, tmp_path, last):
    tune(replace(tuning, freeze=last), tmp_path / last)
    tuned, source = checkpoint.load(tmp_path / last / "last.safetensors"), trained.weights.model
    kept = frozen(source, last)
    for name, weights in tuned.model.named_parameters():
        layer = name.partition(".")[0]
        assert (layer in kept) == torch.equal(weights, source.get_parameter(name)), name
        assert (layer in kept) == (name not in tuned.momentum)


def test_renewed_layers_begin_anew_and_the_kept_ones_answer_as_the_source_does_to_the_bit(
    tuning, trained, store, tmp_path
):
    tuning, source = replace(tuning, renew="fc6", dropout=0.0, precision="float32"), trained.weights.model
    with begin(tuning, store, "colours", Run(tmp_path / "run"), trained=trained) as training:
        model = training.model
        before = model.fc7.weight.detach().clone()
        renew(training.settings, store, model, training.step.part)
        images = training.feed.batch(0)[0]
        model.eval()
        with torch.no_grad():
            ours, theirs = (each.activations(images, "pool5")["pool5"] for each in (model, source))
        factor = (ours.sum() / theirs.sum()).item()
        assert math.log2(factor) == int(math.log2(factor))
        assert torch.equal(ours, theirs * factor)
        assert 0.5 < ours.square().mean().sqrt() < 3
        assert not torch.allclose(model.fc7.weight, before)
        again = model.fc7.weight.detach().clone()
        renew(training.settings, store, model, training.step.part)
        assert torch.equal(model.fc7.weight, again)


@pytest.mark.parametrize(
    ("first", "freeze", "layers"),
    [
        ("none", "none", []),
        ("fc6", "none", ["fc6", "fc7", "fc8"]),
        ("fc7", "conv5", ["fc7", "fc8"]),
        ("fc6", "fc6", ["fc7", "fc8"]),
        ("fc6", "fc7", []),
    ],
)
def test_frozen_layers_are_not_renewed_and_the_last_never_alone(tuning, trained, first, freeze, layers):
    assert renewed(replace(tuning, renew=first, freeze=freeze), trained.weights.model) == layers


def test_renewed_layers_learn_at_the_rate_of_the_last(tuning, trained):
    settings, model = replace(tuning, renew="fc7", learning_rate=0.01, body_rate=0.1), trained.weights.model
    rates = [rate_of(settings, model, layer) for layer in ("conv1", "fc6", "fc7", "fc8")]
    assert rates == pytest.approx([0.001, 0.001, 0.01, 0.01])


def test_new_layers_may_guess_for_a_while_where_kept_ones_may_not(tuning, trained, store, tmp_path):
    for first, ceiling in (("none", math.log(3)), ("fc6", math.inf)):
        run = Run(tmp_path / first)
        with begin(replace(tuning, renew=first), store, "colours", run, trained=trained) as training:
            assert training.watch.ceiling == ceiling


@pytest.mark.parametrize(("side", "size"), [(32, 67), (64, 67), (111, 67), (112, 99), (150, 131), (400, 163)])
def test_pictures_are_tuned_at_the_largest_input_that_enlarges_none(trained, side, size):
    assert input_for(trained, side) == size


def test_frozen_layers_cost_no_backward(trained):
    model = build(trained.weights.model.design, 3)
    freeze(model, "conv5")
    assert not model.activations(torch.zeros(1, 3, 67, 67), "pool5")["pool5"].requires_grad
    assert model(torch.zeros(1, 3, 67, 67)).requires_grad


def test_the_body_learns_at_its_own_rate_and_biases_at_theirs(tune, tuning, store, trained, tmp_path):
    with begin(tuning, store, "colours", Run(tmp_path / "run"), trained=trained) as training:
        training.step._set_rate(0.01)
        groups = training.step.optimiser.param_groups
        rates = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
        named = {name: rates[id(p)] for name, p in training.step.parameters.items()}
    assert named["conv1.weight"] == named["fc7.weight"] == (pytest.approx(0.0002), 5e-4)
    assert named["conv1.bias"] == (pytest.approx(0.0004), 0)
    assert (named["fc8.weight"], named["fc8.bias"]) == ((0.01, 5e-4), (0.02, 0))


def test_classes_are_matched_by_name_wordnet_id_and_word():
    theirs = ("n02123045", "n02012849", "n03126707", "goldfish", "Egyptian cat")
    kept = matches(("goldfish", "n01443537", "tabby", "Crane", "egyptian_cat", "spoon"), theirs)
    assert kept == {
        "goldfish": "goldfish",
        "n01443537": "goldfish",  # its word
        "tabby": "n02123045",
        "egyptian_cat": "Egyptian cat",
    }  # two classes of ImageNet are called crane


def test_classes_that_the_source_knows_keep_their_rows(tuning, trained):
    planted = plant(replace(tuning, head_first=False), trained, ("spoon", "red", "blue"))
    head, theirs = planted.model.fc8, trained.weights.model.fc8
    assert torch.equal(head.weight[1:], theirs.weight[[2, 0]])
    assert torch.equal(head.bias[1:], theirs.bias[[2, 0]])
    assert planted.ancestor.layers[-1].origin == "2 of 3 classes by name, the others new"


def test_another_input_size_interpolates_fc6(trained):
    changes = {**CHANGES, "input_size": 99}
    settings = take_over(config.change(recipes.FINETUNE, changes), changes, trained)
    assert (settings.input_size, settings.stored_size) == (99, 112)
    planted = plant(settings, trained, ("a", "b"))
    before, after = trained.weights.model.fc6.weight, planted.model.fc6.weight
    assert after.shape == (32, 8 * 4)
    assert torch.allclose(before.sum(1), after.sum(1), atol=1e-4)
    assert [layer.origin for layer in planted.ancestor.layers][4:6] == ["toy", "toy, interpolated"]
    assert planted.mean.shape == (112, 112, 3)
    assert planted.mean.mean() == pytest.approx(trained.weights.mean.mean(), rel=0.01)


@pytest.mark.parametrize("order", ["fc relu drop", "drop fc relu"])
@pytest.mark.parametrize(("theirs", "ours"), [(0.5, 0.2), (0.5, 0.0), (0.0, 0.5), (0.0, 0.0)])
def test_another_dropout_keeps_what_the_network_answers(trained, monkeypatch, order, theirs, ours):
    monkeypatch.setitem(VARIANTS, "toy", replace(VARIANTS["toy"], head=order))
    source = build(replace(trained.weights.model.design, dropout=theirs), 3, "he", 0).eval()
    trained = replace(trained, weights=replace(trained.weights, model=source))
    changes = {**CHANGES, "dropout": ours}
    settings = take_over(config.change(recipes.FINETUNE, changes), changes, trained)
    model = plant(replace(settings, head_first=False), trained, trained.weights.header.classes).model.eval()
    images = torch.randn(2, 3, 67, 67, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(model(images), source(images), rtol=1e-4, atol=1e-5)
        assert source(images).abs().max() > 0.1


def test_a_fitted_head_is_the_least_of_its_loss_and_decays_towards_its_start():
    dice = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    features = torch.randn(60, 1, 4, generator=dice) + 3 * torch.eye(4)[labels][:, None]
    fitted = fit(features, labels, torch.zeros(3, 5), seed=0)
    scores = features[:, 0] @ fitted[:, :-1].T + fitted[:, -1]
    assert (scores.argmax(1) == labels).float().mean() > 0.9
    assert torch.equal(fitted, fit(features, labels, torch.zeros(3, 5), seed=0))
    few = fit(features[:3], labels[:3], torch.full((3, 5), 2.0), seed=0)
    assert (few[:, :-1].mean() - 2).abs() < 1e-3


def test_a_loss_above_guessing_is_met_by_a_tenth_of_the_rate_once(tune, tuning, store, tmp_path):
    wild = replace(tuning, learning_rate=1e3, body_rate=1.0, schedule="constant")
    with pytest.raises(TrainingError):
        tune(wild, tmp_path / "run")
    run = Run(tmp_path / "run")
    assert run.description().is_guarded
    assert begin_slower(run) == 100
    description = run.description()
    assert not description.is_guarded
    assert description.settings.learning_rate == 100
    assert description.ancestor.is_slowed
    assert description.ancestor.layers[-1].rate == 100
    with resume(store, run) as training:
        assert training.progress.step == 0
        assert training.watch.ceiling == math.inf  # a loss above guessing ends it no more
    assert begin_slower(run) is None


@pytest.mark.parametrize(("flips", "turns", "views"), [(False, False, 1), (True, False, 2), (True, True, 8)])
def test_a_head_is_fitted_to_pictures_as_training_shows_them(trained, tuning, store, flips, turns, views):
    settings, model = replace(tuning, flips=flips, turns=turns), trained.weights.model
    features, _ = _features(settings, store, model, Observer(), ALONE)
    assert features.shape[:2] == (18, views)
    assert len(features[0].unique(dim=0)) == views


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variant": "alexnet"}, "`variant=alexnet` contradicts toy, which has toy"),
        ({"divide_pixels_by": 1.0}, "`divide_pixels_by=1.0` contradicts toy, which has 64.0"),
        ({"without": "conv3"}, "`without=conv3` contradicts toy, which has none"),
        ({"body_rate": 0.0}, "take `epochs=0`"),
    ],
)
def test_what_contradicts_the_source_is_refused(trained, changes, message):
    with pytest.raises(UsageError, match=message):
        take_over(config.change(recipes.FINETUNE, changes), changes, trained)


def test_an_input_too_small_for_the_layers_is_refused(trained, store, tmp_path):
    changes = {"input_size": 40}
    settings = take_over(config.change(recipes.FINETUNE, changes), changes, trained)
    with (
        pytest.raises(UsageError, match="40 pixels are too few"),
        begin(settings, store, "colours", Run(tmp_path / "run"), trained=trained),
    ):
        pass


def test_frozen_layers_and_heads_need_a_trained_network(store, tmp_path):
    for settings in (replace(recipes.MODERN, freeze="conv3"), replace(recipes.MODERN, renew="fc6"), recipes.FINETUNE):
        with pytest.raises(UsageError, match="name one by `from_`"), begin(settings, store, "x", Run(tmp_path / "run")):
            pass


def test_a_class_without_training_pictures_is_refused(tuning, store, monkeypatch):
    monkeypatch.setattr(store, "classes", (*store.classes, "spoon"))
    with pytest.raises(DataError, match="no training pictures of 'spoon'"):
        check_classes(tuning, store)
    monkeypatch.setattr(store, "classes", ("spoon",))
    with pytest.raises(DataError, match="one class"):
        check_classes(tuning, store)


def test_settings_of_transfer_change_nothing_where_nobody_sets_them():
    assert (config.PAPER.head_first, config.PAPER.body_rate, config.PAPER.freeze) == (False, 1.0, "none")
    assert [name for name, recipe in recipes.RECIPES.items() if recipe.renew != "none"] == ["finetune"]
    assert [name for name, recipe in recipes.RECIPES.items() if recipe.head_first] == ["demo", "finetune"]

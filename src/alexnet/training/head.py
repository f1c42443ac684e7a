"""The head first: features of all training pictures once, and a last layer that is fitted to them in seconds."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from alexnet import machine
from alexnet.config import Train
from alexnet.data.augment import ALL_TURNS, MIRROR, Draws, augment, centre
from alexnet.data.listing import spread
from alexnet.data.store import Store
from alexnet.evaluation.evaluate import over
from alexnet.models.network import Network
from alexnet.observer import Observer
from alexnet.seeds import generator
from alexnet.team import ALONE, Team
from alexnet.training.loss import class_weights, cross_entropy

MOST = 20_000
"""Training pictures that the head is fitted to at most, evenly spread."""

DECAYS = (1e-1, 1e-2, 1e-3, 1e-4)
"""Of which one is chosen; the strongest comes first, since each solution is where the next search begins."""

USUAL = 1e-3
"""The decay where there are too few pictures to choose one."""

HELD_OUT = 0.2
UPDATES = 30

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The mean loss, in nats, by features (N, V, D), labels (N,), and weights and biases (C, D + 1)."""


def fit_head(
    settings: Train, store: Store, model: Network, observer: Observer | None = None, team: Team = ALONE
) -> None:
    """Fits the last layer to the features of the training pictures, in place; the other layers stay as they are.

    The features are those of the centre, without dropout; where training mirrors or turns pictures, also those of its
    mirror image or of all its turns. The weights decay towards those that the layer begins with, so that rows taken
    over by name count as prior knowledge. A fifth of the pictures, held out, chooses the decay. Balanced
    classes count as they do in training.

    Source: multinomial logistic regression by L-BFGS; the decay towards given weights is ours.
    """
    observer = observer or Observer()
    observer.began("features")
    features, labels = _features(settings, store, model, observer, team)
    weight, bias = (model.get_parameter(f"{model.order[-1]}.{kind}") for kind in ("weight", "bias"))
    start = torch.cat([weight.detach().cpu(), bias.detach().cpu()[:, None]], 1)
    fitted = fit(features, labels, start, settings.seed, class_weights(settings, store))
    with torch.no_grad():
        weight.copy_(fitted[:, :-1])
        bias.copy_(fitted[:, -1])


def fit(features: Tensor, labels: Tensor, start: Tensor, seed: int, class_weights: Tensor | None = None) -> Tensor:
    """Returns the weights and biases, (C, D + 1), that tell the classes apart by their features.

    Args:
        features: (N, V, D) float32: V views of N pictures.
        labels: (N,) int64.
        start: (C, D + 1) weights and biases to begin with, towards which they decay.
        seed: Seed of the pictures that are held out to choose the decay.
        class_weights: (C,) weight of each class in the loss; None weighs all pictures alike.
    """
    loss = partial(_loss, class_weights)
    scale = features.square().mean().sqrt().clamp(min=1e-12)
    scaled, prior = features / scale, start.clone()
    prior[:, :-1] *= scale
    decay, weights = USUAL, prior
    if len(labels) >= 5 * len(start):
        decay, weights = _chosen(loss, scaled[:, :1], labels, prior, seed)
    fitted = _solve(loss, scaled, labels, prior, decay, weights)
    fitted[:, :-1] /= scale
    return fitted


def _chosen(loss: Loss, features: Tensor, labels: Tensor, prior: Tensor, seed: int) -> tuple[float, Tensor]:
    """Returns the decay with the lowest loss on a fifth of the pictures, which is held out, and its weights."""
    mixed = torch.from_numpy(generator(seed, "head").permutation(len(labels)))
    held, others = mixed.tensor_split([int(HELD_OUT * len(labels))])
    weights, tried = prior, []
    for decay in DECAYS:
        weights = _solve(loss, features[others], labels[others], prior, decay, weights)
        tried.append((float(loss(features[held], labels[held], weights)), decay, weights))
    _, decay, weights = min(tried, key=lambda each: each[0])
    return decay, weights


def _solve(loss: Loss, features: Tensor, labels: Tensor, prior: Tensor, decay: float, start: Tensor) -> Tensor:
    """Minimises the mean loss and half of `decay` times the squared distance from the prior; biases are free."""
    weights = start.clone().requires_grad_()
    solver = torch.optim.LBFGS([weights], max_iter=UPDATES, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        total = loss(features, labels, weights)
        total = total + 0.5 * decay * (weights - prior)[:, :-1].square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    solver.step(closure)  # type: ignore[no-untyped-call]
    return weights.detach()


def _loss(class_weights: Tensor | None, features: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    views = features.shape[1]
    scores = F.linear(features.flatten(0, 1), weights[:, :-1], weights[:, -1])
    return cross_entropy(scores, labels.repeat_interleave(views), class_weights)


def _features(settings: Train, store: Store, model: Network, observer: Observer, team: Team) -> tuple[Tensor, Tensor]:
    """Returns what the last layer reads of each training picture, (N, views, units), and the labels, (N,)."""
    split, size, dtype = store.splits["train"], model.input_size, machine.dtype(settings.precision)
    device = machine.device()
    model.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = torch.from_numpy(store.mean_image).to(device)
    turns = range(ALL_TURNS) if settings.turns else [0, MIRROR] if settings.flips else [0]
    gain = np.float32(1 / settings.divide_pixels_by)

    def function(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        views, count = [], len(pictures)
        for turn in turns:
            crops = centre(count, store.size, size)
            crops["turn"] = turn
            draws = Draws(crops, np.zeros((count, 3), np.float32), np.full(count, gain))
            images = augment(pictures, draws, mean, size, dtype)
            with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                views.append(model.before_head(images).float().cpu().numpy())
        return np.stack(views, 1)

    chosen = np.array(spread(len(split), MOST))
    rows = []
    for _, answers in over(split, store.size, function, team, chosen):
        rows.append(answers)
        observer.advanced(sum(map(len, rows)), len(chosen))
    return torch.from_numpy(np.concatenate(rows)), torch.from_numpy(split.labels[chosen])

"""The network that a training starts from."""

import math
from contextlib import closing

import torch

from alexnet.config import Train
from alexnet.data.feed import Feed
from alexnet.data.store import Store
from alexnet.models.initialise import settle
from alexnet.models.network import Network

SETTLED_ON = 256


def fit_to_pictures(settings: Train, store: Store, model: Network) -> None:
    """Fits fresh weights to the first training pictures where the initialisation is `measured`; else does nothing.

    All processes of a team come to the same weights, since each sees the same pictures.
    """
    if settings.initialisation != "measured":
        return
    device = torch.device("cpu")
    steps = math.ceil(SETTLED_ON / settings.batch_size)
    with closing(Feed(settings, store, model.input_size, torch.float32, device, memory_budget=0)) as feed:
        settle(model, model.order, torch.cat([feed.batch(step)[0] for step in range(steps)])[:SETTLED_ON])

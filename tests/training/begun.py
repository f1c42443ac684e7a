"""A training from its beginning, or from its last save, to its end or until it is asked to stop."""

from alexnet.run import Run
from alexnet.team import ALONE
from alexnet.training.loop import begin
from alexnet.training.loop import resume as go_on


def train(settings, store, source, folder, observer=None, should_stop=lambda: False, team=ALONE):
    with begin(settings, store, source, Run(folder), observer, team, goes_on=team.goes_on) as training:
        return training.run(should_stop)


def resume(store, folder, observer=None, should_stop=lambda: False, team=ALONE):
    with go_on(store, Run(folder), observer, team) as training:
        return training.run(should_stop)

"""An observer that writes down what it is told, and stops the work after so many steps."""

import math

from alexnet.observer import Observer


class Notes(Observer):
    def __init__(self, last=math.inf):
        self.runs, self.notices, self.steps, self.last = [], [], 0, last

    def began(self, what):
        self.runs.append(what)

    def notice(self, text):
        self.notices.append(text)

    def stepped(self, step, total, loss, images_per_s):
        self.steps += 1

    def should_stop(self):
        return self.steps >= self.last

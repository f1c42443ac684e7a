"""An observer that writes down what it is told."""

from alexnet.observer import Observer


class Notes(Observer):
    def __init__(self):
        self.runs, self.said, self.steps = [], [], 0

    def began(self, what):
        self.runs.append(what)

    def notice(self, text):
        self.said.append(text)

    def stepped(self, step, total, loss, images_per_s):
        self.steps += 1

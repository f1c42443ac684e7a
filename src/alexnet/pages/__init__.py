"""What a run looks like: one self-contained page."""

from alexnet.pages.page import write_report as write_report

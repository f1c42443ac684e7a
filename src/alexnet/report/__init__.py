"""What a run looks like: one self-contained page."""

from alexnet.report.page import write_report as write_report

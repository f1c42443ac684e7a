"""The records that travel between the rooms.

A record is checked when it is read, and frozen afterwards, so whoever receives one checks nothing again. Errors are
fractions in [0, 1].
"""

from alexnet.records.evaluation import (
    Bin,
    Calibration,
    ClassErrors,
    Evaluation,
    Example,
    Examples,
    Guess,
    Prediction,
    StepRow,
    ValidationRow,
)
from alexnet.records.export import Exported, Int8, MeasuredFile, Parity
from alexnet.records.header import (
    BEGINNING,
    Compression,
    CompressionRequest,
    CompressionStep,
    Conversion,
    Dataset,
    Description,
    Header,
    Machine,
    Manifest,
    Metrics,
    Preprocessing,
    Probe,
    Progress,
    WeightFile,
)
from alexnet.records.record import Count, Finite, Fraction, Quarantined, Record, Size, Square, convert, read, to_json

__all__ = [
    "BEGINNING",
    "Bin",
    "Calibration",
    "ClassErrors",
    "Compression",
    "CompressionRequest",
    "CompressionStep",
    "Conversion",
    "Count",
    "Dataset",
    "Description",
    "Evaluation",
    "Example",
    "Examples",
    "Exported",
    "Finite",
    "Fraction",
    "Guess",
    "Header",
    "Int8",
    "Machine",
    "Manifest",
    "MeasuredFile",
    "Metrics",
    "Parity",
    "Prediction",
    "Preprocessing",
    "Probe",
    "Progress",
    "Quarantined",
    "Record",
    "Size",
    "Square",
    "StepRow",
    "ValidationRow",
    "WeightFile",
    "convert",
    "read",
    "to_json",
]

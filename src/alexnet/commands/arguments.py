"""The types of the commands' arguments: what a shell calls them and which words they may be."""

from pathlib import Path
from typing import Annotated, Literal

Place = str | Path

Source = Annotated[Place, "SOURCE"]
"""Data as a user calls them."""

RunPlace = Annotated[Place, "RUN"]
"""A run folder."""

Network = Annotated[Place, "RUN"]
"""A trained network: a run folder or a weight file."""

Picture = Annotated[Place, "IMAGE|FOLDER"]
Out = Annotated[Place, "OUT"]
Folder = Annotated[Place, "DIR"]
File = Annotated[Place, "FILE"]
Store = Annotated[Place, "STORE"]
Recipe = Annotated[str, "RECIPE"]
Variant = Annotated[str, "V"]
Pixels = Annotated[int, "S"]
Number = Annotated[int, "N"]
Amount = Annotated[float, "E"]
Seconds = Annotated[float, "S"]
Name = Annotated[str, "NAME"]
Split = Annotated[str, "SPLIT"]

Numbers = Literal["auto", "float32", "bf16", "int8"]
TrainingNumbers = Literal["auto", "bf16", "float32"]
Views = Literal[1, 10]
Parallel = Literal["data", "towers", "hybrid"]
OnBadImage = Literal["skip", "stop"]
Format = Literal["onnx", "keras", "torch-export", "browser", "huggingface"]
Normalisation = Literal["native", "decomposed"]
Budget = Literal["quick", "standard", "full"]
Bench = Literal["lrn", "train", "data", "predict", "parallel", "all"]

TIMEOUT_S = 300.0
"""How long processes of a team wait for each other."""

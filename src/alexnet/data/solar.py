"""The built-in source: 2,624 electroluminescence photographs of solar cells, functional or defective.

Source: Deitsch et al. (2019), and the PyPI package `elpv-dataset`, which carries the pictures in its wheel.
"""

import csv
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from alexnet.data.listing import Listing, Names, Source, hold_out, stamp
from alexnet.errors import DataError

NAME = "solar-cells"
CLASSES = ("functional", "defective")

LICENCE = (
    "CC BY-NC-SA 4.0; S. Deitsch et al., Automatic classification of defective photovoltaic module cells in "
    "electroluminescence images, Solar Energy 185 (2019) 455-468, doi:10.1016/j.solener.2019.02.067"
)


def open_solar_cells(seed: int) -> Source:
    """Opens the solar cells, a quarter of each class held out as "val".

    Experts gave each cell a probability of a defect: 0, 1/3, 2/3 or 1. A cell counts as defective from 1/2.

    Raises:
        DataError: The package `elpv-dataset` is not installed.
    """
    folder = _folder()
    names, labels = Names(), []
    with (folder / "labels.csv").open(encoding="ascii") as file:
        for name, probability, _ in csv.reader(file, delimiter=" ", skipinitialspace=True):
            names.append(name.encode())
            labels.append(int(float(probability) >= 0.5))
    whole = Listing(
        labels=np.array(labels, dtype=np.int64),
        rows=np.arange(len(labels)),
        names=names,
        fetch=lambda row: (folder / names[row].decode()).read_bytes(),
    )
    return Source(
        name=NAME,
        kind=NAME,
        classes=CLASSES,
        splits=hold_out(whole, CLASSES, seed),
        fingerprint=f"{stamp(folder / 'labels.csv')} seed {seed}",
        path=folder,
        is_split_drawn=True,
        licence=LICENCE,
    )


def _folder() -> Path:
    spec = find_spec("elpv_dataset")  # finds without importing: the package itself is not needed
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"the source {NAME!r} is not installed: pip install 'alexnet[solar-cells]'")
    return Path(spec.submodule_search_locations[0], "data")

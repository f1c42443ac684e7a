"""Puts a trained and compressed network into the package, as `make box` does.

    python scripts/ship.py runs/tiny-imagenet runs/tiny-imagenet-compressed tiny-imagenet

The folder of the network gets its compressed file, a manifest, and the training's log, thinned out; the documentation
gets pictures of its first layer, and the number of clear kernels is printed.
"""

import sys
from pathlib import Path

from msgspec import structs

from alexnet.pages.clarity import counts
from alexnet.pages.kernels import Kernels, blocks
from alexnet.records import Metrics
from alexnet.run import Run
from alexnet.weights import box, compressed, manifest

LICENCE = (
    "for research and teaching, as ImageNet's terms of access have it for the pictures that the network learnt from "
    "(https://image-net.org/download); no rights in them are granted"
)
DOCS = Path(__file__).parent.parent / "docs" / "reference"
EVERY = 50  # steps a line of the log


def ship(trained: Run, packed: Run, name: str) -> None:
    """Writes the folder of a network of the box."""
    weights, measured = box.BOX / name / compressed.NAME, packed.evaluation()
    checkpoint = compressed.load(packed.weights)
    if measured is None or checkpoint.header.data is None:
        raise SystemExit(f"{packed.folder} was not measured: alexnet evaluate {packed.folder} --views 10")
    header = structs.replace(
        checkpoint.header,
        licence=LICENCE,
        data=structs.replace(checkpoint.header.data, source=None, quarantine=()),
        metrics=Metrics(**{field: getattr(measured, field) for field in Metrics.__struct_fields__}),
    )
    weights.parent.mkdir(parents=True, exist_ok=True)
    with manifest.renewed(weights):
        compressed.save(weights, checkpoint.model, checkpoint.mean, header)
    rows = trained.rows()
    lines = [row for row in rows.steps if row.step % EVERY == 0] + list(rows.validations)
    log = "\n".join(line.to_json(indent=None) for line in sorted(lines, key=lambda line: line.step))
    (weights.parent / "training.jsonl").write_text(log + "\n")
    show_kernels(Kernels(checkpoint.model.get_parameter("conv1.weight").detach().numpy(), towers=2), name)


def show_kernels(kernels: Kernels, name: str) -> None:
    """Writes a picture of the first layer of each tower, and prints how many kernels are clear."""
    for tower, (picture, clear) in enumerate(
        zip(blocks(kernels), counts(kernels.weights, kernels.towers), strict=True), 1
    ):
        (DOCS / f"{name}-tower-{tower}.png").write_bytes(picture)
        print(f"tower {tower}: {clear['oriented']} oriented, {clear['coloured']} coloured of {clear.total()}")


if __name__ == "__main__":
    ship(Run(sys.argv[1]), Run(sys.argv[2]), sys.argv[3])

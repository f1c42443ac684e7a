"""Puts a trained and compressed network into the package, as `make box` does.

    python scripts/ship.py runs/tiny-imagenet runs/tiny-imagenet-compressed tiny-imagenet

The folder of the network gets its compressed file, a manifest, and the training's log, thinned out.
"""

import sys

from msgspec import structs

from alexnet.records import Metrics
from alexnet.run import Run
from alexnet.weights import box, compressed, manifest

LICENCE = (
    "for research and teaching, as ImageNet's terms of access have it for the pictures that the network learnt from "
    "(https://image-net.org/download); no rights in them are granted"
)
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


if __name__ == "__main__":
    ship(Run(sys.argv[1]), Run(sys.argv[2]), sys.argv[3])

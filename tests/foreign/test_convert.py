"""What stands in the run folder that a conversion makes."""

import json

import foreign
from damage import unsealed
from foreign import CHANNELS, CLASSES, HIDDEN

from alexnet.weights import manifest


def test_a_converted_run_has_a_manifest(toys, turn, tmp_path):
    turn(foreign.caffemodel(foreign.random_weights(channels=CHANNELS, hidden=HIDDEN, classes=CLASSES)))
    written = unsealed((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    assert written["converted"]["dialect"] == "Caffe, V2 layers"
    assert written == json.loads(manifest.describe(tmp_path / "run" / "model.safetensors").to_json())

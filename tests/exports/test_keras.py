"""Keras files: read back by Keras here, and by TensorFlow in a process that has none of our code."""

import importlib.util
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.data import decode
from alexnet.exports import keras as keras_file
from alexnet.exports.format import PreprocessingSteps
from alexnet.models.variants import VARIANTS

if importlib.util.find_spec("keras") is None:
    pytest.skip("Keras is not installed", allow_module_level=True)

# Keras on PyTorch copies tensors in a way that NumPy 2 asks it to change.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NAMES = [name for name in VARIANTS if name != "toy"]
LIMIT = 1e-4


def logits(model):
    keras = keras_file.module()
    return keras.Model(model.input, model.get_layer("fc8").output)


@pytest.mark.parametrize("name", NAMES)
def test_keras_gives_the_logits_of_every_variant(network, images, error, name):
    model = network(name)
    translated = logits(keras_file.translate(model))
    for count in (1, 7):
        batch = images(count)
        found = translated.predict_on_batch(batch.permute(0, 2, 3, 1).numpy())
        assert error(found, model(batch)) < LIMIT


@pytest.mark.parametrize("settings", [{"activation": "tanh"}, {"pooling": "2x2", "input_size": 83}, {"dropout": 0.0}])
def test_ablated_networks_are_translated_too(network, images, error, settings):
    model = network("alexnet-two-tower", **settings)
    batch = images(2, model.input_size)
    found = logits(keras_file.translate(model)).predict_on_batch(batch.permute(0, 2, 3, 1).numpy())
    assert error(found, model(batch)) < LIMIT


def test_a_file_gives_what_the_network_gives_and_keeps_the_notes(network, images, error, tmp_path):
    model = network("alexnet-as-run")
    content = keras_file.build(model, None, {"classes": '["hen"]'})
    _, run = keras_file.engine(content)
    assert error(run(images(7).numpy()), model(images(7)).softmax(1)) < LIMIT
    (tmp_path / "a.keras").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert json.loads(archive.read(keras_file.NOTES)) == {"classes": '["hen"]'}


@pytest.fixture
def takes_pictures():
    """A function that gives the preprocessing of pictures that become square in one way or the other."""
    mean = np.random.default_rng(0).uniform(0, 255, (76, 76, 3)).astype(np.float32)
    return lambda square: PreprocessingSteps(square, 76, 67, mean, 64.0)


def photograph(height, width):
    clouds = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    return np.array(Image.fromarray(clouds).resize((width, height), Image.Resampling.BICUBIC))


def expect(model, wanted, picture):
    stored = decode.fit(picture, 76) if wanted.square == "centre" else decode.warp(picture, 76)
    return model(torch.from_numpy(wanted(stored[None]))).softmax(1)


@pytest.mark.parametrize("square", ["centre", "warp"])
def test_pictures_of_any_size_go_in(network, error, takes_pictures, square):
    wanted, model = takes_pictures(square), network("alexnet")
    _, run = keras_file.engine(keras_file.build(model, wanted, {}))
    for shape in ((76, 76), (200, 301), (50, 41)):
        picture = photograph(*shape)
        limit = 1e-5 if shape == (76, 76) else 1e-3
        assert error(run(picture[None]), expect(model, wanted, picture)) < limit


def test_dropout_trains_as_the_paper_says(network, images):
    """Silenced units are zero and the others as they are: in training nothing is rescaled, in use everything is."""
    keras = keras_file.module()
    translated = keras_file.translate(network("alexnet"))
    tail = keras.Model(translated.get_layer("relu6").output, translated.get_layer("drop6_keep").output)
    units = np.ones((4, 48), np.float32)
    trained, used = (keras.ops.convert_to_numpy(tail(units, training=each)) for each in (True, False))
    assert set(np.unique(trained)) == {0.0, 1.0}
    assert np.allclose(used, 0.5)


TENSORFLOW = """
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

assert "alexnet" not in sys.modules and keras.backend.backend() == "tensorflow"
folder = Path(sys.argv[1])
batch = np.load(folder / "images.npy").transpose(0, 2, 3, 1)
pictures = np.load(folder / "pictures.npy")
whole = keras.saving.load_model(folder / "pictures" / "alexnet.keras")
np.save(folder / "named.npy", whole.predict(pictures, verbose=0))
for path in sorted(folder.glob("*.keras")):
    model = keras.saving.load_model(path)
    rows = keras.Model(model.input, model.get_layer("fc8").output)
    np.savez(folder / f"{path.stem}.npz", one=rows(batch[:1]), seven=rows.predict(batch, verbose=0))
    if path.stem == "alexnet":
        norm = keras.Model(model.input, [model.get_layer("relu1").output, model.get_layer("norm1").output])
        before, after = norm(batch)
        expected = tf.nn.local_response_normalization(before, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)
        assert float(tf.norm(after - expected) / tf.norm(expected)) < 1e-6
        assert float(tf.norm(after - before * 2**-0.75) / tf.norm(expected)) > 0.01
        print("normalisation agrees")
"""


def test_tensorflow_loads_them_without_our_code_and_gives_our_logits(network, images, error, takes_pictures, tmp_path):
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")
    batch = images(7)
    np.save(tmp_path / "images.npy", batch.numpy())
    np.save(tmp_path / "pictures.npy", photograph(200, 301)[None])
    models = {name: network(name) for name in NAMES}
    for name, model in models.items():
        (tmp_path / f"{name}.keras").write_bytes(keras_file.build(model, None, {"variant": name}))
    (tmp_path / "pictures").mkdir()
    wanted = takes_pictures("centre")
    (tmp_path / "pictures" / "alexnet.keras").write_bytes(keras_file.build(models["alexnet"], wanted, {}))
    world = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", TENSORFLOW, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, env=world)
    assert ended.returncode == 0, ended.stderr
    assert "normalisation agrees" in ended.stdout
    for name, model in models.items():
        found = np.load(tmp_path / f"{name}.npz")
        assert error(found["one"], model(batch[:1])) < LIMIT
        assert error(found["seven"], model(batch)) < LIMIT
    expected = expect(models["alexnet"], wanted, photograph(200, 301))
    assert error(np.load(tmp_path / "named.npy"), expected) < 1e-3

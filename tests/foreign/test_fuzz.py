"""The readers meet anything and everything, and answer with a network or with one line."""

import pickle

import foreign
import pytest
from foreign import CHANNELS, CLASSES, HIDDEN
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alexnet.errors import AlexNetError
from alexnet.foreign import caffe, convnet, torchvision, wire

FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
CAFFE = foreign.caffemodel(foreign.random_weights(channels=CHANNELS, hidden=HIDDEN, classes=CLASSES))
CONVNET = foreign.convnet_checkpoint(foreign.two_towers(channels=(4, 8, 6, 8, 4), hidden=HIDDEN // 2, classes=CLASSES))
STARTS = {"caffe": (caffe.read, CAFFE), "convnet": (convnet.read, CONVNET)}


def refused(reader, data):
    """Whether a reader refuses, which it does in one line, or reads."""
    told = ""
    try:
        reader("file", memoryview(bytearray(data)), None)
    except AlexNetError as error:
        told = str(error)
    assert "\n" not in told
    return bool(told)


@pytest.mark.parametrize("dialect", STARTS)
@FEW
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 6)), min_size=1, max_size=4))
def test_a_file_changed_anywhere_is_read_or_refused(toys, dialect, changes):
    reader, data = STARTS[dialect]
    data = bytearray(data)
    for place, new, old in changes:
        at = int(place * len(data) ** (0.6 if old % 2 else 1))
        data[at : at + old] = new
    refused(reader, data)


@FEW
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_by_every_reader(data):
    for reader in (caffe.read, convnet.read, lambda name, data, _: torchvision.read_older(name, data)):
        assert refused(reader, data)
    assert refused(lambda name, data, _: convnet.read_mean(name, data), data)
    assert refused(lambda name, data, _: caffe.read_mean(name, data), data)


VALUES = st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
LAYER = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b", "c"]) | VALUES, "type": st.sampled_from(["conv", "fc", "data", "hs"]) | VALUES},
    optional=dict.fromkeys(("inputs", "inputLayers", "weights", "biases", "stride", "imgSize", "neuron"), VALUES),
)


@FEW
@given(st.lists(LAYER, max_size=4) | st.dictionaries(st.text(max_size=3), LAYER, max_size=4) | VALUES)
def test_any_checkpoint_of_the_right_outline_is_refused(layers):
    assert refused(convnet.read, pickle.dumps({"model_state": {"layers": layers}}, 2))


FIELD = st.recursive(
    st.builds(foreign.field, st.integers(1, 150), st.integers(0, 1 << 64) | st.binary(max_size=8)),
    lambda inner: st.builds(
        lambda number, parts: foreign.field(number, b"".join(parts)),
        st.sampled_from([2, 4, 5, 6, 7, 100, 106, 118, 121, 143]),
        st.lists(inner, max_size=4),
    ),
    max_leaves=6,
)


@FEW
@given(st.lists(FIELD, max_size=6))
def test_any_protocol_buffer_is_refused(fields):
    assert refused(caffe.read, b"".join(fields))


@FEW
@given(st.dictionaries(st.integers(1, 1 << 28), st.integers(0, (1 << 64) - 1) | st.binary(max_size=50), max_size=8))
def test_what_is_written_as_a_message_is_read_back(message):
    data = b"".join(foreign.field(number, value) for number, value in message.items())
    found = wire.read("x", memoryview(data)).fields
    assert {number: [v if isinstance(v, int) else bytes(v) for v in values] for number, values in found.items()} == {
        number: [value] for number, value in message.items()
    }


@pytest.mark.parametrize("dialect", STARTS)
def test_the_file_that_is_changed_is_whole(toys, dialect):
    assert not refused(*STARTS[dialect])

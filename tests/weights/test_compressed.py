"""Compressed files: bit for bit, and every kind of damage one clear line."""

import json
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import unsealed
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.config import Design
from alexnet.errors import CheckpointError
from alexnet.models.create import create
from alexnet.records import Description, Header, Preprocessing
from alexnet.weights import compressed, sparse

MEAN = (np.random.default_rng(0).integers(0, 256, (76, 76, 3))).astype(np.float32)
CLASSES = ("blue", "green", "red")
PREPROCESSING = Preprocessing(divide_pixels_by=64.0, stored_size=76)
HEADER = Header.of(Description(classes=CLASSES, preprocessing=PREPROCESSING, recipe="größer — 大"), Design())


def sparse_model(seed=0):
    """The toy with one weight in ten, of 30 values a layer; fc7 has one weight, fc8 has its last place taken."""
    dice = np.random.default_rng(seed)
    model = create("toy", classes=3, input_size=67, seed=seed)
    with torch.no_grad():
        for weights in (p for p in model.parameters() if p.dim() > 1):
            values = dice.normal(size=30).astype(np.float32)[dice.integers(0, 30, weights.shape)]
            weights.copy_(torch.from_numpy(values * (dice.random(weights.shape) < 0.1)))
        model.fc7.weight.zero_()[5, 7] = -1.5
        model.fc8.weight[-1, -1] = 2
    return model


OLD = Path(__file__).with_name("version-0.1.compressed")
"""What version 0.1 saved of `sparse_model()`, `MEAN` and `HEADER`, in format 1."""


@pytest.fixture(scope="module", params=["format 2", "format 1"])
def saved(request, tmp_path_factory):
    if request.param == "format 1":
        return OLD
    path = tmp_path_factory.mktemp("compressed") / "a.compressed"
    compressed.save(path, sparse_model(), MEAN, HEADER)
    return path


@pytest.fixture
def path(saved, tmp_path):
    (tmp_path / "a.compressed").write_bytes(saved.read_bytes())
    return tmp_path / "a.compressed"


def rewrite(path, change):
    """Writes the file anew after `change(header)`."""
    data = path.read_bytes()
    start = 12 + int.from_bytes(data[8:12], "little")
    header = unsealed(data[12:start])
    text = json.dumps(change(header) or header).encode()
    path.write_bytes(data[:8] + len(text).to_bytes(4, "little") + text + data[start:])


def refused(path, told=""):
    with pytest.raises(CheckpointError, match=told) as caught:
        compressed.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_round_trip_keeps_every_bit(saved):
    loaded = compressed.load(saved)
    for name, value in sparse_model().state_dict().items():
        assert loaded.model.state_dict()[name].numpy().tobytes() == (value.numpy() + 0).tobytes(), name
    np.testing.assert_array_equal(loaded.mean, MEAN)
    assert (loaded.header.classes, loaded.header.preprocessing) == (CLASSES, PREPROCESSING)
    assert not loaded.model.training


def test_the_document_is_enough_to_read_one_tensor(saved):
    """conv2 by hand, as docs/reference/compressed-format.md says."""
    data = saved.read_bytes()
    at = 12 + int.from_bytes(data[8:12], "little")
    parts = json.loads(data[12:at])["parts"]
    assert [part["name"] for part in parts[:3]] == ["conv1.weight", "conv1.bias", "conv2.weight"]

    def take(count):
        nonlocal at
        at += count
        return data[at - count : at]

    def codes_and_gaps(part):
        if part["coding"] == "shared":
            return huffman_stream(take, part["kept"], part["values"]), huffman_stream(take, part["gaps"], 256)
        assert part["coding"] == "deflate"
        symbols = zlib.decompress(take(part["bytes"]))
        return symbols[: part["kept"]], symbols[part["kept"] :]

    for part in parts[:3]:
        if part["coding"] == "float32":
            take(4 * part["shape"][0])
            continue
        codebook = np.frombuffer(take(4 * part["values"]), "<f4")
        values, gaps = codes_and_gaps(part)
        assert (len(values), len(gaps)) == (part["kept"], part["gaps"])
        place, tensor, following = -1, np.zeros(part["shape"], np.float32), iter(values)
        for gap in gaps:
            place += 255 if gap == 255 else gap + 1
            if gap < 255:
                tensor.reshape(-1)[place] = codebook[next(following)]
    np.testing.assert_array_equal(tensor, sparse_model().conv2.weight.detach().numpy())


def huffman_stream(take, count, alphabet):
    """The symbols of a stream of format 1, bit by bit; `take(n)` gives the next n bytes."""
    lengths = take(alphabet)
    order = sorted((length, symbol) for symbol, length in enumerate(lengths) if length)
    codes, code, last = {}, 0, order[0][0]
    for length, symbol in order:
        code <<= length - last
        codes[f"{code:0{length}b}"] = symbol
        code, last = code + 1, length
    bits = sum(np.frombuffer(take(2 * -(-count // 2048)), "<u2").tolist())
    text = "".join(f"{byte:08b}" for byte in take(-(-bits // 8)))
    symbols, word = [], ""
    for bit in text[:bits]:
        word += bit
        if word in codes:
            symbols, word = [*symbols, codes[word]], ""
    return symbols


def unpack(data):
    return sparse.unpack(data, sparse.read_parts(sparse.read_header(data)))


@given(st.sets(st.integers(0, 3000), min_size=1, max_size=60))
@settings(max_examples=10, deadline=None)
def test_any_pattern_of_weights_makes_the_round_trip(places):
    tensor = np.zeros((3, 1001), np.float32)
    tensor.reshape(-1)[sorted(places)] = np.arange(1, len(places) + 1)
    data = sparse.pack({}, {"a": tensor}, np.zeros((2, 2, 3), np.uint8))
    np.testing.assert_array_equal(unpack(data)["a"], tensor)


def test_more_values_than_a_byte_counts_are_refused():
    tensor = np.arange(1, 258, dtype=np.float32).reshape(1, 257)
    with pytest.raises(ValueError, match="257 values"):
        sparse.pack({}, {"a": tensor}, np.zeros((2, 2, 3), np.uint8))


@pytest.mark.parametrize("keep", [0, 10, 2000, 9000, -1])
def test_a_truncated_file_is_noticed(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    refused(path, "no whole compressed file|is cut off|mean image has another size")


def test_bytes_left_over_are_noticed(path):
    path.write_bytes(path.read_bytes() + b"more")
    refused(path, "4 bytes are left over")


@pytest.mark.parametrize("place", [0.01, 0.3, 0.6, 0.9])
def test_a_flipped_byte_is_noticed(path, place):
    data = bytearray(path.read_bytes())
    start = 12 + int.from_bytes(data[8:12], "little")
    data[start + int((len(data) - start) * place)] ^= 255
    path.write_bytes(data)
    refused(path, "is damaged")


def part_of(header, name):
    return next(part for part in header["parts"] if part["name"] == name)


HUGE = 1 << 40


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda h: part_of(h, "conv1.weight").update(kept=HUGE), "more weights or values than places"),
        (lambda h: part_of(h, "conv1.weight").update(gaps=HUGE), "more weights or values than places"),
        (lambda h: part_of(h, "conv1.weight").update(gaps=-1), "more weights or values than places"),
        (lambda h: part_of(h, "conv1.weight").update(values=HUGE), "more weights or values than places"),
        (lambda h: part_of(h, "conv1.weight").update(kept=1), "cut off|damaged"),
        (lambda h: part_of(h, "conv1.weight").update(kept=2.0), "damaged"),
        (lambda h: part_of(h, "conv1.weight").update(coding="pickle"), "damaged"),
        (lambda h: part_of(h, "fc6.weight").update(shape=[HUGE, HUGE]), r"fc6\.weight is not as a toy has it"),
        (lambda h: part_of(h, "mean_image").update(bytes=HUGE), "cut off"),
        (
            lambda h: h["preprocessing"].update(stored_size=HUGE),
            "<= 4096 - at `\\$.preprocessing.stored",
        ),
        (lambda h: h["preprocessing"].clear(), "missing required field `divide_pixels_by`"),
        (lambda h: h["network"].update(variant="vgg"), "no variant 'vgg'"),
        (lambda h: h["network"].update(depth=3), "a network has no setting 'depth'"),
        (lambda h: h["network"].update(variant="alexnet"), "is not as a alexnet has it"),
        (lambda h: h["parts"].append(h["parts"][0]), "another part is not as"),
        (lambda h: h["parts"].pop() and None, "mean_image is not as"),
        (lambda h: h["parts"].insert(0, 3), "damaged"),
        (lambda h: h.update(crc32=1), "do not match its checksum"),
        (lambda h: h.update(classes=["a"]), r"fc8\.weight is not as"),
        (lambda h: h.pop("classes") and None, "missing required field `classes`"),
        (lambda h: h.update(parts={}), "lists no parts"),
        (lambda h: [1], "lists no parts"),
        (lambda h: h.update(format=3), "its format is 3, this version of alexnet reads 1 to 2"),
        (lambda h: h.update(format="2"), "its format is '2'"),
        (lambda h: h.update(format=[]), r"its format is \[\]"),
        (lambda h: part_of(h, "conv1.weight").pop("kept") and None, "damaged.*missing required field `kept`"),
        (lambda h: part_of(h, "conv1.weight").update(kept=True), "damaged"),
        (lambda h: part_of(h, "conv1.weight").update(shape=[0]), "damaged"),
        (lambda h: part_of(h, "conv1.weight").update(shape=[]), "damaged"),
        (lambda h: part_of(h, "conv1.weight").update(name=["conv1.weight"]), "damaged"),
        (lambda h: part_of(h, "mean_image").update(bytes=0), "damaged"),
        (lambda h: part_of(h, "mean_image").update(bytes=part_of(h, "mean_image")["bytes"] - 1), "another size"),
    ],
)
def test_a_header_that_lies_is_refused(path, change, told):
    rewrite(path, change)
    refused(path, told)


def test_a_network_too_large_for_the_format_is_refused_before_it_is_made(path):
    """Shapes that fit together and 64 GB of zeros, claimed by a file of a few kilobytes."""

    def claim(header):
        header["network"].update(variant="alexnet", input_size=4000)
        with torch.device("meta"):
            model = create("alexnet", classes=3, input_size=4000, initialisation="none")
        for name, tensor in model.state_dict().items():
            part_of(header, name)["shape"] = list(tensor.shape)

    rewrite(path, claim)
    refused(path, "claims more than 268,435,456 numbers")


def test_a_header_nested_without_end_is_refused(path):
    text = b"[" * 200_000
    path.write_bytes(sparse.MAGIC + len(text).to_bytes(4, "little") + text)
    refused(path, "no whole compressed file")


@pytest.mark.parametrize("content", [b"", b"not one at all", b"\xff" * 200, sparse.MAGIC + b"\xff" * 50])
def test_another_kind_of_file_is_noticed(path, content):
    path.write_bytes(content)
    refused(path, "no whole compressed file")


def test_values_that_are_not_finite_are_refused(tmp_path):
    model = sparse_model()
    with torch.no_grad():
        model.fc7.weight[5, 7] = float("inf")
    compressed.save(tmp_path / "a.compressed", model, MEAN, HEADER)
    refused(tmp_path / "a.compressed", r"not finite in fc7\.weight")


# zlib streams of format 2


def one_stream(tensor, change=lambda codes, gaps: zlib.compress(codes + gaps), **facts):
    """A file of one tensor whose zlib stream is `change(codes, gaps)`, with other facts in its entry."""
    data = sparse.pack({}, {"a": tensor}, np.zeros((2, 2, 3), np.uint8))
    at = 12 + int.from_bytes(data[8:12], "little")
    header = unsealed(data[12:at])
    part = header["parts"][0]
    start = at + 4 * part["values"]
    symbols = zlib.decompress(data[start : start + part["bytes"]])
    stream = change(symbols[: part["kept"]], symbols[part["kept"] :])
    rest = data[start + part["bytes"] :]
    part.update({"bytes": len(stream), **facts})
    text = json.dumps(header).encode()
    return b"".join([data[:8], len(text).to_bytes(4, "little"), text, data[at:start], stream, rest])


TENSOR = np.arange(600, dtype=np.float32).reshape(3, 200) // 5


def test_any_deflate_stream_of_the_symbols_is_read():
    np.testing.assert_array_equal(unpack(one_stream(TENSOR))["a"], TENSOR)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda codes, gaps: zlib.compress(codes + gaps) + b"more", "another size"),
        (lambda codes, gaps: zlib.compress(codes + gaps)[:-1], "another size"),
        (lambda codes, gaps: zlib.compress(codes + gaps)[:-5], "another size|incomplete"),
        (lambda codes, gaps: zlib.compress(codes + gaps)[:-1] + b"?", "incorrect data check"),
        (lambda codes, gaps: b"?" + zlib.compress(codes + gaps)[1:], "incorrect header check"),
        (lambda codes, gaps: zlib.compress(codes + gaps + b"?"), "another size"),
        (lambda codes, gaps: zlib.compress((codes + gaps)[:-1]), "another size"),
        (lambda codes, gaps: zlib.compress(codes + gaps[:-1] + b"\xff"), "weights outside its shape"),
        (lambda codes, gaps: zlib.compress(codes + gaps[:-1] + b"\x09"), "weights outside its shape"),
        (lambda codes, gaps: zlib.compress(b"\xff" + codes[1:] + gaps), "values outside its codebook"),
    ],
)
def test_a_stream_that_is_not_what_its_entry_says_is_refused(change, told):
    with pytest.raises(ValueError, match=told):
        unpack(one_stream(TENSOR, change))


def test_a_stream_that_grows_a_thousandfold_is_refused_before_it_is_inflated(monkeypatch):
    """64 MB of zeros in 64 kB, for a tensor that large, whose entry admits it."""
    data = one_stream(
        TENSOR, lambda codes, gaps: zlib.compress(bytes(1 << 26)), shape=[1 << 26], kept=1 << 25, gaps=1 << 25
    )
    monkeypatch.setattr(zlib, "decompressobj", None)
    with pytest.raises(ValueError, match="more symbols than bits"):
        unpack(data)


def test_a_stream_that_grows_beyond_its_entry_is_not_inflated_to_the_end():
    data = one_stream(TENSOR, lambda codes, gaps: zlib.compress(bytes(1 << 26)))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="another size"):
            unpack(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()

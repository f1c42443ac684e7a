"""Huffman codes of compressed files of format 1: decoded whole, and refused where they are not."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.weights import huffman

COUNTS = st.lists(st.integers(0, 10**6), min_size=2, max_size=256).map(np.array)


def code_lengths(counts):
    """The code lengths by Huffman's own tree, of counts that need no limit; two symbols have one at least."""
    lengths = np.zeros(len(counts), np.uint8)
    heap = [(count, [symbol]) for symbol, count in enumerate(counts.tolist()) if count]
    heap += [(0, [symbol]) for symbol in range(2) if not counts[symbol]][: max(0, 2 - len(heap))]
    heapq.heapify(heap)
    while len(heap) > 1:
        (less, left), (more, right) = heapq.heappop(heap), heapq.heappop(heap)
        lengths[left + right] += 1
        heapq.heappush(heap, (less + more, left + right))
    return lengths


def codes(lengths):
    """Symbol -> its code, counted upwards by (length, symbol), as text of 0 and 1."""
    order = sorted((length, symbol) for symbol, length in enumerate(lengths.tolist()) if length)
    texts, code, last = {}, 0, order[0][0]
    for length, symbol in order:
        code <<= length - last
        texts[symbol] = f"{code:0{length}b}"
        code, last = code + 1, length
    return texts


def coded(symbols, alphabet=256):
    """The stream of the symbols, the bits of its chunks, and the code lengths."""
    lengths = code_lengths(np.bincount(symbols, minlength=alphabet))
    words = codes(lengths)
    text = "".join(words[symbol] for symbol in symbols.tolist())
    chunks = np.add.reduceat(lengths[symbols], np.arange(0, len(symbols), huffman.CHUNK), dtype=np.uint16)
    stream = int(text.ljust(-len(text) % 8 + len(text), "0"), 2).to_bytes((len(text) + 7) // 8, "big")
    return np.frombuffer(stream, np.uint8), chunks, lengths


def test_codes_are_counted_upwards_by_length_then_symbol():
    lengths, stream = np.array([3, 1, 0, 3, 2], np.uint8), np.array([0b110_0_111_1, 0b0_0000000], np.uint8)
    assert huffman.decode(stream, np.array([9], np.uint16), 4, lengths).tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize("count", [1, 2, huffman.CHUNK - 1, huffman.CHUNK, huffman.CHUNK + 1, 5000])
@pytest.mark.parametrize("spread", [0, 3, 255])
def test_what_is_coded_is_decoded(count, spread):
    symbols = np.random.default_rng(count).integers(0, spread + 1, count).astype(np.uint8)
    stream, chunks, lengths = coded(symbols)
    np.testing.assert_array_equal(huffman.decode(stream, chunks, count, lengths), symbols)


def test_a_code_of_the_longest_length_is_decoded():
    lengths = np.array([*range(1, 17), 16], np.uint8)
    stream = np.full(4, 255, np.uint8)  # the last symbol twice
    assert huffman.decode(stream, np.array([32], np.uint16), 2, lengths).tolist() == [16, 16]


@given(st.binary(min_size=1, max_size=300))
@settings(max_examples=20, deadline=None)
def test_any_bytes_make_the_round_trip(content):
    symbols = np.frombuffer(content, np.uint8)
    stream, chunks, lengths = coded(symbols)
    np.testing.assert_array_equal(huffman.decode(stream, chunks, len(symbols), lengths), symbols)


@given(st.binary(min_size=1, max_size=60), st.integers(0, 65535), st.integers(1, 5000), COUNTS)
@settings(max_examples=30, deadline=None)
def test_any_stream_is_decoded_or_refused(content, bits, count, counts):
    chunks = np.full(-(-count // huffman.CHUNK), bits, np.uint16)
    try:
        decoded = huffman.decode(np.frombuffer(content, np.uint8), chunks, count, code_lengths(counts))
    except ValueError:
        return
    assert len(decoded) == count


@pytest.mark.parametrize("change", [lambda c: [c[0] + 1, c[1] - 1], lambda c: [c[0] - 1, c[1] + 1]])
def test_chunks_that_end_elsewhere_are_refused(change):
    stream, chunks, lengths = coded(np.random.default_rng(0).integers(0, 7, 4000).astype(np.uint8))
    with pytest.raises(ValueError, match="does not end with its chunk"):
        huffman.decode(stream, np.array(change(chunks.astype(int)), np.uint16), 4000, lengths)


@pytest.mark.parametrize("count", [3999, 4001, 2048, 4097, 1])
def test_a_count_of_other_symbols_is_refused(count):
    stream, chunks, lengths = coded(np.random.default_rng(0).integers(0, 7, 4000).astype(np.uint8))
    with pytest.raises(ValueError, match=r"a stream (is not as long as its chunks|does not end with its chunk)"):
        huffman.decode(stream, chunks, count, lengths)


@pytest.mark.parametrize("lengths", [[0, 0], [1, 0], [1, 1, 1], [2, 2, 2], [17, 1], [255, 1]])
def test_lengths_of_no_complete_code_are_refused(lengths):
    with pytest.raises(ValueError, match="no complete code"):
        huffman.decode(np.zeros(1, np.uint8), np.array([1], np.uint16), 1, np.array(lengths, np.uint8))


TWO = np.array([1, 1], np.uint8)  # two symbols of one bit


@pytest.mark.parametrize(
    ("stream", "chunks", "count", "told"),
    [
        ([0b1000_0000], [1, 1], 1, "not as long"),  # a chunk too many, whose bit the stream has
        ([0b1000_0000, 0], [2], 2, "not as long"),  # a byte too many
        ([0b1000_0000], [9], 9, "not as long"),  # a byte too few, which the padding would give
        ([0b1000_0000], [2], 3, "not as long"),  # fewer bits than symbols
        ([0b1000_0000], [3], 2, "does not end"),  # a bit too many
        ([], [], 1, "not as long"),
    ],
)
def test_a_stream_of_another_length_is_refused(stream, chunks, count, told):
    assert huffman.decode(np.array([0b1000_0000], np.uint8), np.array([2], np.uint16), 2, TWO).tolist() == [1, 0]
    with pytest.raises(ValueError, match=told):
        huffman.decode(np.array(stream, np.uint8), np.array(chunks, np.uint16), count, TWO)


@pytest.mark.parametrize("lengths", [[1, 1, 17], [1, 1, 255], [0, 0, 0], [1, 2], [1, 1, 16]])
def test_a_code_too_long_does_not_hide_behind_a_complete_one(lengths):
    """A length beyond 16 leaves no words of 16 bits to a symbol, and the others may take all of them."""
    with pytest.raises(ValueError, match="no complete code"):
        huffman.decode(np.zeros(1, np.uint8), np.array([1], np.uint16), 1, np.array(lengths, np.uint8))

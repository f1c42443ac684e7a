"""Huffman codes: whole, shortest, and refused where they are not."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.weights import huffman

COUNTS = st.lists(st.integers(0, 10**6), min_size=2, max_size=256).map(np.array)


def bits_by_tree(counts):
    """The bits of the whole text in Huffman's own tree: the sum over its inner nodes."""
    heap = [count for count in counts.tolist() if count]
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        total += both
        heapq.heappush(heap, both)
    return total


def best_limited(counts, longest):
    """The least bits of any prefix code of three to five symbols with no code above `longest`, by trying all."""
    best = [np.inf]

    def go(i, room, bits):
        if i == len(counts):
            best[0] = min(best[0], bits)
            return
        for length in range(1, longest + 1):
            if room >= 2.0**-length:
                go(i + 1, room - 2.0**-length, bits + counts[i] * length)

    go(0, 1.0, 0)
    return best[0]


@given(COUNTS)
@settings(max_examples=50, deadline=None)
def test_codes_are_as_short_as_huffmans_tree(counts):
    lengths = huffman.code_lengths(counts)
    if (counts > 0).sum() > 1 and lengths.max() < huffman.LONGEST:
        assert (lengths * counts).sum() == bits_by_tree(counts)
        assert ((lengths > 0) == (counts > 0)).all()
    assert (2.0 ** -lengths[lengths > 0].astype(float)).sum() == 1


def test_a_limit_costs_as_little_as_it_can(monkeypatch):
    monkeypatch.setattr(huffman, "LONGEST", 3)
    for counts in ([1, 1, 2, 5, 40], [1, 2, 4, 8, 16], [7, 7, 7, 7, 7]):
        lengths = huffman.code_lengths(np.array(counts))
        assert lengths.max() <= 3
        assert (lengths * counts).sum() == best_limited(counts, 3)


def test_steep_counts_stay_within_the_limit():
    lengths = huffman.code_lengths(np.array([2**i for i in range(40)]))
    assert lengths.max() == huffman.LONGEST
    assert (2.0 ** -lengths.astype(float)).sum() == 1


def test_codes_are_counted_upwards_by_length_then_symbol():
    assert huffman.codes(np.array([3, 1, 0, 3, 2], np.uint8)).tolist() == [0b110, 0b0, 0, 0b111, 0b10]


def coded(symbols, alphabet=256):
    lengths = huffman.code_lengths(np.bincount(symbols, minlength=alphabet))
    return *huffman.encode(symbols, lengths), lengths


def test_a_stream_is_its_codes_end_to_end():
    symbols = np.random.default_rng(0).geometric(0.3, 500).astype(np.uint8)
    stream, chunks, lengths = coded(symbols)
    codes = huffman.codes(lengths)
    text = "".join(f"{codes[s]:0{lengths[s]}b}" for s in symbols)
    assert chunks.tolist() == [len(text)]
    assert stream.tobytes() == int(text.ljust(-len(text) % 8 + len(text), "0"), 2).to_bytes(len(stream), "big")


@pytest.mark.parametrize("count", [1, 2, huffman.CHUNK - 1, huffman.CHUNK, huffman.CHUNK + 1, 5000])
@pytest.mark.parametrize("spread", [0, 3, 255])
def test_what_is_coded_is_decoded(count, spread, monkeypatch):
    monkeypatch.setattr(huffman, "_BLOCK", 2 * huffman.CHUNK)
    symbols = np.random.default_rng(count).integers(0, spread + 1, count).astype(np.uint8)
    stream, chunks, lengths = coded(symbols)
    np.testing.assert_array_equal(huffman.decode(stream, chunks, count, lengths), symbols)


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
        found = huffman.decode(np.frombuffer(content, np.uint8), chunks, count, huffman.code_lengths(counts))
    except ValueError:
        return
    assert len(found) == count


@pytest.mark.parametrize("lengths", [[0, 0], [1, 0], [1, 1, 1], [2, 2, 2], [17, 1], [255, 1]])
def test_lengths_of_no_complete_code_are_refused(lengths):
    with pytest.raises(ValueError, match="no complete code"):
        huffman.decode(np.zeros(1, np.uint8), np.array([1], np.uint16), 1, np.array(lengths, np.uint8))

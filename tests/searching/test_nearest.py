"""Nearest neighbours against their definition, in rows that are passed block by block."""

import resource

import numpy as np
import pytest

from alexnet.searching import nearest as searching
from alexnet.searching.nearest import alike, nearest, nearest_others, pairs


def rows(count=50, width=7, seed=0):
    return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)


def euclidean(queries, rows):
    return np.sqrt(((queries[:, None].astype(float) - rows.astype(float)) ** 2).sum(2))


def cosine(queries, rows):
    queries, rows = queries.astype(float), rows.astype(float)
    return queries @ rows.T / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(rows, axis=1)


@pytest.fixture(params=[4096, 8])
def together(request, monkeypatch):
    """Blocks that hold everything, and blocks that do not."""
    monkeypatch.setattr(searching, "TOGETHER", request.param)


@pytest.mark.parametrize(
    ("metric", "definition"), [("euclidean", euclidean), ("cosine", lambda q, r: 1 - cosine(q, r))]
)
def test_the_nearest_rows_are_those_of_the_definition(together, metric, definition):
    queries, data = rows(11, seed=1), rows()
    result, right = nearest(queries, data, 5, metric), definition(queries, data)
    assert (result.places == right.argsort(1)[:, :5]).all()
    assert np.allclose(result.distances, np.sort(right, 1)[:, :5], atol=1e-5)


def test_rows_may_come_as_an_iterator_of_blocks_of_any_lengths(together):
    data, queries = rows(), rows(3, seed=1)
    blocks = iter([data[:1], data[1:30], data[30:30], data[30:]])
    assert (nearest(queries, blocks, 4).places == nearest(queries, data, 4).places).all()


def test_half_floats_and_rows_that_cannot_be_written_are_searched(tmp_path):
    data = rows().astype(np.float16)
    np.save(tmp_path / "rows.npy", data)
    result = nearest(rows(3, seed=1), np.load(tmp_path / "rows.npy", mmap_mode="r"), 4)
    assert (result.places == euclidean(rows(3, seed=1), data).argsort(1)[:, :4]).all()


def test_a_row_is_at_distance_0_from_itself_however_long_it_is():
    data = 1000 * rows()
    result = nearest(data, data, 1)
    assert result.places[:, 0].tolist() == list(range(50))
    assert (result.distances == 0).all()


def test_small_distances_between_long_rows_keep_their_digits():
    data = np.full((3, 5), 1000, np.float32)
    data[:, 0] += (0.25, 0.5, 1.0)
    assert nearest(data[:1], data, 3).distances.tolist() == [[0, 0.25, 0.75]]


def test_fewer_rows_than_neighbours_are_all_of_them():
    assert nearest(rows(2, seed=1), rows(3), 10).places.shape == (2, 3)


def test_a_row_of_zeros_is_like_none():
    assert nearest(np.zeros((1, 7), np.float32), rows(), 1, "cosine").distances[0, 0] == pytest.approx(1)


def test_the_nearest_others_of_each_row_do_not_count_the_row_itself(together):
    data = rows()
    right = euclidean(data, data) + np.where(np.eye(50) > 0, np.inf, 0)
    assert (np.concatenate([block.places for block in nearest_others(data, 3)]) == right.argsort(1)[:, :3]).all()
    (three,) = nearest_others(data[:3], 10)
    assert three.places.shape == (3, 2)


def test_every_pair_above_a_similarity_is_found_once(together):
    data = rows(width=3)
    right = {(i, j) for i, j in np.argwhere(cosine(data, data) >= 0.9).tolist() if i < j}
    listed = [pair for some in pairs(data, 0.9) for pair in zip(some.first, some.second, strict=True)]
    assert set(listed) == right
    assert len(listed) == len(right) > 20
    for some in pairs(data, 0.9):
        assert np.allclose(some.similarity, cosine(data, data)[some.first, some.second], atol=1e-6)


def test_a_similarity_just_below_is_no_pair_whatever_bf16_makes_of_it():
    degrees = np.arccos([0.8999, 0.9001])
    data = np.array([[1, 0], *zip(np.cos(degrees), -np.sin(degrees), strict=True)], np.float32)
    assert [(int(a), int(b)) for some in pairs(data, 0.9) for a, b in zip(some.first, some.second, strict=True)] == [
        (0, 2),
        (1, 2),
    ]


def test_queries_and_rows_that_are_alike_are_found(together):
    queries, data = rows(11, 3, seed=1), rows(width=3)
    listed = {
        (i, j) for some in alike(queries, iter([data]), 0.9) for i, j in zip(some.first, some.second, strict=True)
    }
    assert listed == set(map(tuple, np.argwhere(cosine(queries, data) >= 0.9).tolist()))


def test_memory_does_not_grow_with_the_rows():
    nearest(rows(1, 512), (rows(4096, 512) for _ in range(2)), 3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    nearest(rows(1, 512), (rows(4096, 512) for _ in range(20)), 3)  # 160 MB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KB


@pytest.mark.parametrize("count", [1, searching.FEW, searching.FEW + 1])
def test_few_queries_and_many_find_the_same_rows_of_float16(count, monkeypatch):
    monkeypatch.setattr(searching, "READ_BYTES", 2 * 5 * 3)  # three rows a block
    dice = np.random.default_rng(0)
    rows, queries = dice.random((20, 5)).astype(np.float16), dice.random((count, 5), dtype=np.float32)
    squares = ((queries[:, None].astype(np.float64) - rows[None].astype(np.float64)) ** 2).sum(2)
    near = nearest(queries, rows, 4)
    np.testing.assert_array_equal(near.places, squares.argsort(1)[:, :4])
    np.testing.assert_allclose(near.distances**2, np.sort(squares, 1)[:, :4], rtol=1e-3)

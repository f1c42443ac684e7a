"""`alexnet index` and `alexnet search`: a folder that grows, what is nearest in it, and what is refused."""

import errno
import io
import json
from pathlib import Path

import numpy as np
import pytest
from damage import unsealed
from PIL import Image

import alexnet
from alexnet.errors import CheckpointError, DataError, UsageError
from alexnet.evaluation.classifier import load
from alexnet.evaluation.features import features
from alexnet.observer import Observer
from alexnet.searching import grow
from alexnet.searching.index import Index


@pytest.fixture(scope="module")
def classifier(run):
    return load(run, numbers="float32")


@pytest.fixture(scope="module")
def filled(run, pictures, tmp_path_factory):
    """An index of 27 pictures; only to be read."""
    folder = tmp_path_factory.mktemp("indexes") / "colours"
    result = alexnet.index(run, pictures, folder, precision="float32")
    assert (result.pictures, result.added, result.complete, result.layer) == (27, 27, True, "relu7")
    return folder


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def paths(folder):
    index = Index.open(folder)
    (near,) = index.nearest(np.zeros((1, index.contents.width), np.float32), 100)
    return sorted(one.path for one in near)


def test_the_nearest_pictures_and_distances_are_those_of_the_features(filled, pictures, store, classifier):
    batches = list(features(classifier, store))
    names, vectors = [name for batch in batches for name in batch.names], np.concatenate([b.features for b in batches])
    right = dict(zip(names, np.sqrt(((vectors[3] - vectors) ** 2).sum(1)), strict=True))
    (near,) = Index.open(filled).nearest(vectors[3:4], 30)
    assert len(near) == 27
    assert (near[0].path, near[0].class_name, near[0].distance) == (str(pictures / names[3]), "blue", 0)
    assert [one.distance for one in near] == sorted(one.distance for one in near)
    for one in near:
        assert one.distance == pytest.approx(right[str(Path(one.path).relative_to(pictures))], rel=5e-3, abs=1e-6)


def test_a_search_writes_a_page_of_rows_and_names_what_it_cannot_read(filled, pictures, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    query = pictures / "val/red/000.jpg"
    result = alexnet.search(filled, [tmp_path / "broken.jpg", query], top=3, precision="float32", out=tmp_path / "page")
    assert [bad.image for bad in result.unread] == [str(tmp_path / "broken.jpg")]
    assert result.problem == "1 picture could not be read"
    (answer,) = result.queries
    assert [near.path for near in answer.neighbours][:1] == [str(query)] == [answer.image]
    assert len(answer.neighbours) == 3
    page = (tmp_path / "page/index.html").read_text()
    assert page.count("data:image/jpeg") == 4
    assert 'src="http' not in page
    assert unsealed((tmp_path / "page/neighbours.json").read_text()) == json.loads(result.to_json())


def test_a_thumbnail_is_a_small_jpeg_of_its_picture(filled, pictures, classifier):
    index = Index.open(filled)
    for one in index.nearest(np.zeros((1, index.contents.width), np.float32), 27)[0]:
        with Image.open(io.BytesIO(index.thumbnail(one.place))) as small:
            right = classifier.read(one.path)[0]
            assert (small.format, small.size) == ("JPEG", (76, 76))
            assert np.abs(np.asarray(small, float) - right).mean() < 10


def test_pictures_of_a_second_source_are_added_and_those_of_the_first_are_not_again(
    run, pictures, make_folder, tmp_path
):
    first, second = make_folder(tmp_path / "a", {"red": 2, "blue": 3}), make_folder(tmp_path / "b", {"green": 4})
    assert alexnet.index(run, first, tmp_path / "index").added == 5
    before = content(tmp_path / "index")
    assert alexnet.index(run, first, tmp_path / "index").added == 0
    assert content(tmp_path / "index") == before
    make_folder(first, {"red": 3})
    assert alexnet.index(run, first, tmp_path / "index").added == 1
    result = alexnet.index(run, second, tmp_path / "index")
    assert (result.added, result.pictures) == (4, 10)
    assert paths(tmp_path / "index") == sorted(str(path) for path in tmp_path.glob("[ab]/*/*.jpg"))


class Stops(Observer):
    def should_stop(self):
        return True


class Fails(Observer):
    def advanced(self, done, total):
        if done > 8:
            raise KeyboardInterrupt


@pytest.mark.parametrize("observer", [Stops(), Fails()], ids=["asked to stop", "killed"])
def test_an_interrupted_index_is_whole_and_the_same_command_goes_on(
    observer, run, pictures, filled, tmp_path, monkeypatch
):
    monkeypatch.setattr("alexnet.evaluation.evaluate.BATCH", 5)
    monkeypatch.setattr(grow, "STRIDE", 1)
    try:
        assert not alexnet.index(run, pictures, tmp_path / "index", observer=observer, precision="float32").complete
    except KeyboardInterrupt:
        with (tmp_path / "index/vectors").open("ab") as file:
            file.write(b"half a row")
    assert len(paths(tmp_path / "index")) == 5
    assert alexnet.index(run, pictures, tmp_path / "index", precision="float32").added == 22
    assert paths(tmp_path / "index") == paths(filled)
    assert (tmp_path / "index/vectors").stat().st_size == (filled / "vectors").stat().st_size


def test_a_full_disk_leaves_what_was_whole(run, pictures, make_folder, tmp_path, monkeypatch):
    make_folder(tmp_path / "more", {"red": 2})
    alexnet.index(run, tmp_path / "more", tmp_path / "index")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("alexnet.searching.grow.os.fsync", full)
    with pytest.raises(DataError, match="is full: free some space"):
        alexnet.index(run, pictures, tmp_path / "index")
    assert len(paths(tmp_path / "index")) == 2


@pytest.mark.parametrize("name", ["vectors", "rows", "names", "thumbnails", "index.json"])
@pytest.mark.parametrize("harm", ["cut", "changed", "gone"])
def test_a_torn_or_altered_file_is_refused(name, harm, filled, tmp_path):
    for file, data in content(filled).items():
        (tmp_path / file).write_bytes(data)
    path, data = tmp_path / name, bytearray((filled / name).read_bytes())
    if harm == "gone":
        path.unlink()
    else:
        place = data.index(b'"pictures": 2') + 12 if name == "index.json" else len(data) // 2
        data[place] ^= 1
        path.write_bytes(data[:-3] if harm == "cut" else data)
    with pytest.raises((DataError, UsageError), match=r"index the pictures again|there is no index at"):
        Index.open(tmp_path)


def test_another_network_and_another_layer_are_refused(filled, run, pictures, tmp_path):
    with pytest.raises(UsageError, match="is of another network"):
        alexnet.index("tiny-imagenet", pictures, filled)
    with pytest.raises(UsageError, match="is of another network"):
        alexnet.search(filled, pictures / "val/red/000.jpg", run="tiny-imagenet")
    with pytest.raises(UsageError, match="is of layer relu7, not of relu6"):
        alexnet.index(run, pictures, filled, layer="fc6")
    index = Index.open(filled)
    with pytest.raises(UsageError, match="numbers a picture, of relu7, and not 5"):
        index.nearest(np.zeros((1, 5), np.float32))


def test_a_network_that_was_moved_is_taken_from_where_it_lies(run, pictures, make_folder, tmp_path):
    make_folder(tmp_path / "pictures", {"red": 2})
    moved, query = tmp_path / "moved", tmp_path / "pictures/red/000.jpg"
    moved.mkdir()
    for path in run.iterdir():
        if path.is_file():
            (moved / path.name).write_bytes(path.read_bytes())
    alexnet.index(moved, tmp_path / "pictures", tmp_path / "index")
    moved.rename(tmp_path / "elsewhere")
    with pytest.raises((UsageError, CheckpointError), match="which is gone: say by `run`"):
        alexnet.search(tmp_path / "index", query)
    result = alexnet.search(tmp_path / "index", query, run=tmp_path / "elsewhere")
    assert result.queries[0].neighbours[0].path == str(query)


def test_a_folder_of_other_things_and_the_sources_own_are_left_alone(run, pictures, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        alexnet.index(run, pictures, tmp_path)
    with pytest.raises(UsageError, match="which is only read"):
        alexnet.index(run, pictures, pictures / "index")
    with pytest.raises(UsageError, match="there is no index at"):
        alexnet.search(tmp_path, pictures / "val/red/000.jpg")


def test_the_shell_shows_neighbours_with_their_distances(alexnet, filled, pictures):
    query = pictures / "val/red/000.jpg"
    code, out, _ = alexnet("search", filled, query, "--top", 2, "--precision", "float32")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == str(query)
    distance, *others = lines[1].split()
    assert float(distance) < 1  # the picture was packed, so it is a little another
    assert others == ["red", str(query)]
    assert len(lines) == 3
    code, out, _ = alexnet("search", filled, query, "--top", 0)
    assert code == 2

"""Groups of duplicates: a held-out split never divides one."""

import pytest
from test_heldout import folder, held, sides

from alexnet.data.groups import groups_in
from alexnet.data.listing import digest
from alexnet.data.sources import SOLAR_CELLS, open_source
from alexnet.errors import DataError, UsageError
from alexnet.records import Selection


def groups(*paths):
    return Selection(groups=paths)


def names(splits):
    return {split: [listing.name(i) for i in range(len(listing))] for split, listing in splits.items()}


def is_divided(splits, group):
    return all(set(group) & set(of_split) for of_split in names(splits).values())


def test_a_group_goes_where_its_smallest_digest_leads(tmp_path):
    root = folder(tmp_path, {"a": 12, "b": 12})
    assert b"a 2" in held(root)  # as `test_heldout` has it
    assert b"a 4" not in held(root)
    both = [b"a 2", b"a 4"]
    selection = groups(("a/002.jpg", "a/004.jpg"))
    leads = min(both, key=digest)
    assert (held(root, selection=selection) >= set(both)) == (leads == b"a 2")
    assert held(root, selection=selection) - set(both) == held(root) - set(both)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("counts", [{"a": 3, "b": 9}, {"a": 9, "b": 3}, {"a": 2, "b": 2, "c": 4}, {"a": 30, "b": 30}])
def test_no_group_is_divided_also_one_across_classes(tmp_path, seed, counts):
    root = folder(tmp_path, counts)
    every = [("a/000.jpg", "b/000.jpg", "b/001.jpg"), ("a/001.jpg", "c/000.jpg")]
    splits = open_source(root, seed=seed, selection=groups(*every)).splits
    assert not any(is_divided(splits, group) for group in every)
    for name, count in counts.items():
        if count > 3:  # two of it are in no group
            assert all(any(path.startswith(name) for path in of_split) for of_split in names(splits).values())
    assert sum(map(len, splits.values())) == sum(counts.values())


def test_groups_that_leave_nothing_to_hold_out_are_refused(tmp_path):
    root = folder(tmp_path, {"a": 2, "b": 2})
    source = open_source(root, selection=groups(("a/000.jpg", "a/001.jpg", "b/000.jpg", "b/001.jpg")))
    with pytest.raises(DataError, match="`split_by_duplicates` leaves nothing to hold out"):
        len(source.splits["val"])


def test_a_class_of_one_group_is_trained_on(tmp_path):
    root = folder(tmp_path, {"a": 8, "b": 12})
    selection = groups(tuple(f"a/{i:03d}.jpg" for i in range(8)))
    assert not any(bytes_.startswith(b"a") for bytes_ in held(root, selection=selection))
    assert any(bytes_.startswith(b"b") for bytes_ in held(root, selection=selection))


def test_a_copy_of_a_grouped_file_goes_with_the_group(tmp_path):
    root = folder(tmp_path, {"a": 40, "b": 40})
    selection = groups(*[(f"a/{i:03d}.jpg", f"b/{i:03d}.jpg") for i in range(40)])
    for i in range(40):
        (root / f"b/copy{i}.jpg").write_bytes(f"a {i}".encode())
    splits = open_source(root, selection=selection).splits
    for i in range(40):
        assert not is_divided(splits, (f"a/{i:03d}.jpg", f"b/{i:03d}.jpg", f"b/copy{i}.jpg"))


def test_groups_that_share_a_file_are_one(tmp_path):
    root = folder(tmp_path, {"a": 40, "b": 40})
    chains = [(f"a/{i:03d}.jpg", f"a/{i + 1:03d}.jpg", f"b/{i:03d}.jpg", f"b/{i + 1:03d}.jpg") for i in range(0, 40, 2)]
    for first, second, third, fourth in chains:
        (root / third).write_bytes((root / second).read_bytes())
        assert (root / first).read_bytes() != (root / fourth).read_bytes()
    pairs = [pair for chain in chains for pair in (chain[:2], chain[2:])]
    splits = open_source(root, selection=groups(*pairs)).splits
    assert not any(is_divided(splits, chain) for chain in chains)


def test_what_pictures_are_known_by_does_not_change(tmp_path):
    root = folder(tmp_path, {"a": 6, "b": 6})
    for listing in open_source(root, selection=groups(("a/000.jpg", "b/000.jpg"))).splits.values():
        for i in range(len(listing)):
            assert listing.digest(i, b"") == digest(listing.read(i))


def test_pictures_of_no_group_are_where_they_were(tmp_path):
    root = folder(tmp_path, {"a": 50, "b": 50})
    before, after = sides(root), sides(root, selection=groups(("a/000.jpg", "b/000.jpg")))
    moved = set.union(*before.values()) - {b"a 0", b"b 0"}
    assert {split: of_split & moved for split, of_split in after.items()} == {
        split: of_split & moved for split, of_split in before.items()
    }


def test_groups_are_part_of_the_fingerprint(tmp_path):
    root = folder(tmp_path, {"a": 6, "b": 6})
    one, other = (open_source(root, selection=groups(("a/000.jpg", path))) for path in ("a/001.jpg", "b/001.jpg"))
    assert len({open_source(root).fingerprint, one.fingerprint, other.fingerprint}) == 3


def test_groups_of_other_pictures_are_refused(tmp_path):
    source = open_source(folder(tmp_path, {"a": 6, "b": 6}), selection=groups(("x/000.jpg", "x/001.jpg")))
    with pytest.raises(UsageError, match="no picture is in a group of `split_by_duplicates`"):
        len(source.splits["train"])


@pytest.mark.parametrize("kind", ["splits", SOLAR_CELLS])
def test_data_with_splits_are_refused(tmp_path, kind):
    root = kind if kind == SOLAR_CELLS else folder(tmp_path, {"train/a": 2, "train/b": 2, "val/a": 2, "val/b": 2})
    with pytest.raises(UsageError, match="for pictures without splits of their own"):
        open_source(root, selection=groups(("a/000.jpg", "a/001.jpg")))
    if kind == "splits":
        assert len(open_source(root, selection=groups(("a", "b")), is_measured=True).splits["val"]) == 4


def test_a_table_lists_groups(tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text('group,path,class\n1,a/1.jpg,a\n0,"b/x, y.jpg",b\n1,b/2.jpg,b\n')
    assert list(groups_in(table)) == [("b/x, y.jpg",), ("a/1.jpg", "b/2.jpg")]
    table.write_text("path\na/1.jpg\n")
    with pytest.raises(UsageError, match="has no column `group`"):
        list(groups_in(table))
    with pytest.raises(UsageError, match="there is no table"):
        list(groups_in(tmp_path / "none.csv"))

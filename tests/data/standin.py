"""ILSVRC-2012 in small: three classes in archives of the official layout, with a devkit of its own."""

import io
import tarfile

import numpy as np
import pytest
from pictures import encoded, photograph

COUNTS = {"n03": 2, "n01": 3, "n02": 4}  # in the order of the devkit ids 1, 2, 3
TRUTH = [3, 1, 2, 2, 1]


def add(tar, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def tar_of(files, mode="w"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, data in files.items():
            add(tar, name, data)
    return buffer.getvalue()


def meta():
    savemat = pytest.importorskip("scipy.io", reason="the stand-in's meta.mat needs scipy").savemat
    rows = [(k, wnid, f"word {wnid}", 0, count) for k, (wnid, count) in enumerate(COUNTS.items(), start=1)]
    rows.append((4, "n00", "an inner node", 3, 0))
    fields = ["ILSVRC2012_ID", "WNID", "words", "num_children", "num_train_images"]
    buffer = io.BytesIO()
    savemat(buffer, {"synsets": np.array(rows, dtype=[(name, object) for name in fields])})
    return buffer.getvalue()


def write_archives(root):
    root.mkdir()
    inner = {
        f"{wnid}.tar": tar_of({f"{wnid}_{i}.JPEG": encoded(photograph(seed=i)) for i in range(count)})
        for wnid, count in COUNTS.items()
    }
    val = {f"ILSVRC2012_val_{i:08d}.JPEG": encoded(photograph(seed=90 + i)) for i in (2, 1, 4, 3, 5)}
    kit = "ILSVRC2012_devkit_t12/data/"
    truth = "\n".join(map(str, TRUTH)).encode() + b"\n"
    devkit = {kit + "meta.mat": meta(), kit + "ILSVRC2012_validation_ground_truth.txt": truth}
    (root / "ILSVRC2012_img_train.tar").write_bytes(tar_of(inner))
    (root / "ILSVRC2012_img_val.tar").write_bytes(tar_of(val))
    (root / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(tar_of(devkit, "w:gz"))
    return root

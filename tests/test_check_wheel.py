"""`scripts/check_wheel.py` lets no wheel pass that should not be published."""

import importlib.util
import zipfile
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "scripts" / "check_wheel.py"
spec = importlib.util.spec_from_file_location("check_wheel", PATH)
check_wheel = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_wheel)

LIBRARY = "alexnet/_native.so"


@pytest.fixture
def wheel(tmp_path):
    def write(tag, *names):
        path = tmp_path / f"alexnet-1.0-{tag}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"")
        return path

    return write


@pytest.mark.parametrize(
    ("tag", "names"), [("py3-none-manylinux_2_28_x86_64", [LIBRARY]), ("py3-none-any", [])], ids=["platform", "pure"]
)
def test_a_wheel_for_a_platform_and_one_without_kernels_are_fit(wheel, tag, names):
    assert check_wheel.faults(wheel(tag, *names, *check_wheel.NEEDED)) == []


@pytest.mark.parametrize(
    ("tag", "names", "fault"),
    [
        ("py3-none-linux_x86_64", [], "do not belong together"),
        ("py3-none-any", [LIBRARY], "do not belong together"),
        ("cp311-cp311-linux_x86_64", [LIBRARY], "serve every Python"),
    ],
)
def test_kernels_and_tag_must_belong_together(wheel, tag, names, fault):
    (only,) = check_wheel.faults(wheel(tag, *names, *check_wheel.NEEDED))
    assert fault in only


def test_the_weights_in_the_box_must_be_in_the_wheel(wheel):
    names = check_wheel.NEEDED - {"alexnet/box/tiny-imagenet/model.compressed"}
    assert check_wheel.faults(wheel("py3-none-any", *names)) == ["it lacks alexnet/box/tiny-imagenet/model.compressed"]


def test_a_wheel_of_more_than_15_mb_is_too_large(wheel, monkeypatch):
    path = wheel("py3-none-any", *check_wheel.NEEDED)
    monkeypatch.setattr(check_wheel, "MAX_BYTES", path.stat().st_size - 1)
    (only,) = check_wheel.faults(path)
    assert "are more than" in only

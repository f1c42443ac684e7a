"""Says whether a wheel is fit to be published: python scripts/check_wheel.py dist/*.whl."""

import sys
import zipfile
from pathlib import Path

MAX_BYTES = 15_000_000
LIBRARIES = {"alexnet/_native.so", "alexnet/_native.pyd"}
NEEDED = {
    "alexnet/py.typed",
    "alexnet/box/tiny-imagenet/model.compressed",
    "alexnet/native/kernels.cpp",
    "alexnet/lecturing/page/index.html",
    "alexnet/lecturing/page/panels/history.js",
    "alexnet/lecturing/notebooks/1-network.ipynb",
    "alexnet/lecturing/page/pictures/coffee.jpg",
}


def faults(wheel: Path) -> list[str]:
    """Returns what is wrong with a wheel, a sentence each."""
    tag = wheel.stem.split("-", 2)[2]
    names = set(zipfile.ZipFile(wheel).namelist())
    missing = sorted(NEEDED - names)
    has_kernels = bool(LIBRARIES & names)
    return [
        *([f"{wheel.stat().st_size:,} bytes are more than {MAX_BYTES:,}"] if wheel.stat().st_size > MAX_BYTES else []),
        *([f"it lacks {', '.join(missing)}"] if missing else []),
        *([] if tag.startswith("py3-none-") else [f"its tag is {tag}, where the kernels serve every Python"]),
        *([] if has_kernels is (tag != "py3-none-any") else [f"kernels and the tag {tag} do not belong together"]),
    ]


if __name__ == "__main__":
    problems = [f"{path}: {fault}" for path in sys.argv[1:] for fault in faults(Path(path))]
    sys.exit("\n".join(problems) or None)

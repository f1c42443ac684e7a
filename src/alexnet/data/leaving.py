"""What is left out of a source by its name, its kind or its first bytes, and what counts as a picture."""

import posixpath
import re
import stat
from collections.abc import Callable
from pathlib import Path

from alexnet.data.kinds import RAW, RAW_ENDINGS
from alexnet.errors import BadImage
from alexnet.records import Cause, LeftOut

# The endings of picture names. The decoder refuses some of the last, so that each such picture is named.
PICTURES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp"}
    | {".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"}
    | {".heic", ".heif", ".hif", ".avif", ".jxl"}
)

# Endings that say what a file is. A file with no ending, or with another, is a picture if it begins like one.
_OTHERS = {
    ".svg": "SVG, a drawing: export it as PNG",
    ".svgz": "SVG, a drawing: export it as PNG",
    ".psd": "Photoshop's own format, which is not read: export it as PNG",
    **dict.fromkeys(RAW_ENDINGS, RAW),
    ".pdf": "PDF, not a picture: export its pages as PNG",
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"), "an archive: give it as a source"),
    **dict.fromkeys((".mp4", ".avi", ".mov", ".mkv", ".webm"), "a film, not a picture"),
    **dict.fromkeys(
        (".txt", ".md", ".htm", ".html", ".xml", ".json", ".yaml", ".yml", ".ini", ".log"), "text, not a picture"
    ),
    **dict.fromkeys((".csv", ".tsv", ".jsonl", ".parquet"), "a table, not a picture"),
    **dict.fromkeys((".py", ".ipynb", ".npy", ".npz", ".mat", ".h5", ".pkl", ".pt", ".db"), "not a picture"),
}

_PICTURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n|GIF8|BM.{4}\0{4}|RIFF.{4}WEBP|II\*\0|MM\0\*|P[1-6]\s|.{4}ftyp(hei|hev|mif|msf|avi)"
    rb"|\0\0\0\x0cjP  |\xff\x4f\xff\x51|\xff\x0a|\0\0\0\x0cJXL ",
    re.DOTALL,
)
BEGINNING = 16  # bytes of a file that tell whether it begins like a picture

# Folders that systems make, in lower case: bins, snapshots, thumbnails and what a repair found.
_SYSTEM = frozenset(
    {"#recycle", "@recycle", "$recycle.bin", "recycler", "#snapshot", "~snapshot", "@snapshot", "@sharesnapshot"}
    | {"@recently-snapshot", "@eadir", "@tmp", "__macosx", "lost+found", "found.000", "system volume information"}
    | {"network trash folder", "temporary items", "trashbox", ".thumbnails", ".snapshot", ".snapshots", ".zfs"}
)

_SPECIAL = {
    stat.S_IFIFO: "a pipe, which is never opened",
    stat.S_IFSOCK: "a socket, which is never opened",
    stat.S_IFCHR: "a device, which is never opened",
    stat.S_IFBLK: "a device, which is never opened",
}


def hidden(path: str) -> tuple[Cause, str] | None:
    """Returns why a path is not looked into, None where it is; only its last part is looked at."""
    name = posixpath.basename(path)
    if name.lower() in _SYSTEM or name.startswith((".Trash", ".trash")):
        return "bin", "a bin, snapshots or thumbnails of the system"
    return ("hidden", "hidden") if name.startswith(".") else None


def special(path: str, mode: int) -> LeftOut:
    """Returns what is said of something that is neither a file nor a folder, by its mode in `stat`."""
    return LeftOut(path=path, cause="special", reason=_SPECIAL.get(stat.S_IFMT(mode), "not an ordinary file"))


def contents(path: Path) -> bytes:
    """Returns the bytes of a file that was named as a picture.

    Raises:
        BadImage: It is a pipe, a socket or a device.
        OSError: It cannot be read.
    """
    if not stat.S_ISREG(mode := path.stat().st_mode):
        raise BadImage(str(path), special("", mode).reason)
    return path.read_bytes()


def no_picture(path: str, beginning: Callable[[], bytes]) -> LeftOut | None:
    """Returns why a file is no picture; without a known ending, its first bytes tell whether it is one."""
    ending = posixpath.splitext(path)[1].lower()
    if ending in PICTURES:
        return None
    reason = _OTHERS.get(ending)
    if reason is None and _PICTURE.match(beginning()):
        return None
    return LeftOut(path=path, cause="kind", reason=reason or "not a picture by its ending or its first bytes")

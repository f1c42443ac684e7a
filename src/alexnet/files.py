"""Writing so that neither a crash, a full disk nor a second program leaves anything half written."""

import errno
import hashlib
import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from alexnet.errors import DataError, UsageError

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_WRONG_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG)


def from_home(path: str | Path) -> Path:
    """Returns a path with `~` and `~name` replaced.

    Raises:
        UsageError: There is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{path} cannot be found, there is no such home folder: write the path out") from error


def cache() -> Path:
    """Returns the folder of everything that is fetched or packed: $ALEXNET_CACHE, or else ~/.cache/alexnet.

    Raises:
        UsageError: There is no home folder, and no $ALEXNET_CACHE instead.
    """
    if place := os.environ.get("ALEXNET_CACHE"):
        return from_home(place)
    try:
        home = Path.home()
    except RuntimeError as error:
        raise UsageError(f"there is no home folder for packed and fetched files: {_ANOTHER_CACHE}") from error
    return home / ".cache/alexnet"


_ANOTHER_CACHE = "set ALEXNET_CACHE to a folder that can be written"


def _is_in_cache(place: Path) -> bool:
    with suppress(UsageError):
        return place.absolute().is_relative_to(cache().absolute())
    return False


def check_new(folder: Path) -> None:
    """Checks that a folder to make does not exist yet, or is empty, and can be written.

    Raises:
        UsageError: The folder holds something, is a file, or cannot be made.
    """
    with plain_errors(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} exists already; give a new folder")
        check_place(folder)


def check_place(folder: Path) -> None:
    """Checks that a folder can be made and written.

    Raises:
        UsageError: What it would lie in is no folder, or may not be written.
    """
    with plain_errors(folder):
        above = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if not above.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(above, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def check_free(path: Path) -> None:
    """Checks that a file or folder can be made where nothing is yet.

    Raises:
        UsageError: The place is taken, or its folder does not exist.
    """
    if path.exists():
        raise UsageError(f"{path} exists already; choose another place")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}; make it first, or choose another place")


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, content: bytes | str, work: Path | None = None) -> None:
    """Writes a whole file or none, as `replacing` does. Text becomes UTF-8."""
    with replacing(path, work) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, work: Path | None = None) -> Iterator[BinaryIO]:
    """Opens a file that gets its name only when it is whole and on the disk.

    A second program that writes the same file waits until the first is done.

    Args:
        path: The final name.
        work: A folder on the same disk for the unfinished file, which an error removes; the final folder by default.

    Raises:
        DataError: The disk is full, or the file is larger than the system allows.
        UsageError: The folder cannot be written.
    """
    unfinished = (work or path.parent) / f"{path.name}.tmp"
    with plain_errors(path.parent, path):
        with _alone_at(unfinished) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                _let_go(file)
                unfinished.replace(path)
            except BaseException:
                _let_go(file)
                unfinished.unlink(missing_ok=True)
                raise
        if os.name == "posix":  # elsewhere a directory cannot be opened, nor need be
            _sync(path.parent)


def _alone_at(path: Path) -> BinaryIO:
    """Opens an empty file that no other program is writing. A link in its place is removed, not followed."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    while True:
        if path.is_symlink():
            path.unlink()
        file = os.fdopen(os.open(path, flags, 0o666), "wb")
        try:
            _lock(file.fileno())
            if os.name != "posix" or _is_at(file, path):
                file.truncate(0)
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # another program has finished this file and renamed it meanwhile


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False


def _let_go(file: BinaryIO) -> None:
    if os.name != "posix":  # where an open file can be neither renamed nor removed
        file.close()


def _lock(handle: int, or_else: str | None = None) -> None:
    """Locks a file or directory until it is closed, where the disk has locks; waits, or raises what `or_else` says.

    On Windows it does nothing: a second program that writes a file there fails to open or to rename it.
    """
    # The package filelock fails on disks without locks (ENOLCK, EOPNOTSUPP), or leaves a marker there that outlives a
    # killed program (ENOSYS). It cannot lock a directory, and leaves a lock file in the user's folders.
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (fcntl.LOCK_NB if or_else else 0))
    except BlockingIOError as error:
        raise UsageError(or_else) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what shared folders of virtual machines and old CIFS give for every folder
            raise
    finally:
        os.close(handle)


def in_use(owner: object, path: Path) -> None:
    """Keeps other programs from being `alone_in` a file for as long as an object lives, where the disk has locks."""
    try:
        import fcntl
    except ImportError:  # Windows, where an open file cannot be removed anyway
        return
    handle = os.open(path, os.O_RDONLY)
    weakref.finalize(owner, os.close, handle)
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)


@contextmanager
def alone_in(directory: Path, or_else: str | None = None) -> Iterator[None]:
    """Keeps other programs out of an existing directory or file, until this program ends, even if it is killed.

    Raises:
        UsageError: Another program is in the directory. The message is the directory's name and `or_else`, without
            which this waits instead.
    """
    message = or_else and f"{directory} {or_else}"
    handle = os.open(directory, os.O_RDONLY) if os.name == "posix" else _locked_on_windows(directory, message)
    try:
        _lock(handle, message)
        yield
    finally:
        os.close(handle)


def _locked_on_windows(directory: Path, or_else: str | None) -> int:
    """Returns the handle of a locked file that stands for a directory: Windows cannot open one.

    It lies among the files of the user's other programs that are in progress, and stays there, empty.
    """
    import msvcrt

    name = hashlib.blake2b(os.path.normcase(directory.resolve()).encode(), digest_size=16).hexdigest()
    handle = os.open(Path(tempfile.gettempdir(), f"alexnet-{name}.lock"), os.O_RDWR | os.O_CREAT)
    while True:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK if or_else else msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]
            return handle
        except OSError as error:  # another program has it; `LK_LOCK` gives up after ten seconds
            if or_else:
                os.close(handle)
                raise UsageError(or_else) from error


def make_folder(folder: Path) -> None:
    """Makes a folder, and those above it that are missing.

    Raises:
        DataError: The disk is full.
        UsageError: The folder cannot be made.
    """
    with plain_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def plain_errors(directory: Path, file: Path | None = None) -> Iterator[None]:
    """Turns those errors of the disk that a user can mend into one line.

    Args:
        directory: The folder that is written into.
        file: The file in it that is written, where it is one.

    Raises:
        DataError: The disk is full, or the file is larger than the system allows.
        UsageError: The directory cannot be written.
    """
    try:
        yield
    except OSError as error:
        is_cache = _is_in_cache(directory)
        if error.errno in _FULL:
            other = ", or set ALEXNET_CACHE to a folder on another disk," if is_cache else ""
            remedy = f"free some space{other} and run it again; what was finished is kept"
            raise DataError(f"the disk of {directory} is full: {remedy}") from error
        if error.errno == errno.EFBIG:
            raise DataError(f"{file or directory} would become larger than {_largest_file()}") from error
        if error.errno in _WRONG_PLACE or (error.errno == errno.ENOENT and is_cache):
            remedy = _ANOTHER_CACHE if is_cache else "choose another folder"
            raise UsageError(f"{directory} cannot be written ({error.strerror}): {remedy}") from error
        raise


def _largest_file() -> str:
    """Returns how large a file may become, in words, and what to do about it."""
    with suppress(ImportError):  # Windows
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if limit != resource.RLIM_INFINITY:
            return f"the {limit:,} bytes that this shell allows a file: raise `ulimit -f` and run it again"
    return "a file can be on this disk (FAT: 4 GB): choose a folder on another disk"

"""Tokens in files, which a client sends and by which a service knows who may ask."""

from pathlib import Path

from alexnet.errors import UsageError


def read_token(file: Path) -> str:
    """Returns the token in a file.

    Raises:
        UsageError: The file cannot be read, or holds no token.
    """
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"the token in {file} cannot be read: {error}") from error
    if not token or not token.isprintable():
        raise UsageError(f"{file} holds no token: write it there in one line")
    return token

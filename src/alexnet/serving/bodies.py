"""From the body of a request to picture files, within limits of size, number and time."""

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from alexnet.serving.limits import BODY_SECONDS, MEMORY, Limits, Refusal

FIELD = 1_024
"""Bytes of a form's field that is no file, which nobody reads: codecs take a time that grows as their square."""

BUSY = "the service has as many pictures as it can hold: try again later"


@dataclass(frozen=True)
class File:
    """A picture file as it was sent."""

    name: str
    data: bytes


class Gate:
    """Counts the pictures and bytes of all requests that are being read or answered."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.pictures = self._bytes = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Reads the body of a request, which counts as one picture and with its bytes until the block is left.

        Raises:
            Refusal: There are too many requests, or it is too large or does not come.
        """
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.limits.bytes:
            raise self._too_large()
        self._admit(1)
        body = io.BytesIO()
        try:
            await self._receive(request, body)
            yield body.getvalue()  # the memory that it has already
        finally:
            self.pictures -= 1
            self._bytes -= body.tell()

    async def _receive(self, request: Request, body: io.BytesIO) -> None:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    self._bytes += body.write(chunk)
                    if body.tell() > self.limits.bytes:
                        raise self._too_large()
                    if self._bytes > MEMORY * self.limits.bytes:
                        raise Refusal(429, BUSY)
        except TimeoutError as error:
            raise Refusal(408, f"the body did not come within {BODY_SECONDS:g} seconds") from error

    @asynccontextmanager
    async def files(self, request: Request) -> AsyncIterator[list[File]]:
        """Reads the picture files of a request: its body is one, or has several as multipart/form-data."""
        async with self.body(request) as body:
            if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
                files = await _parts(request, body, self.limits.files)
            else:
                files = [File(request.query_params.get("name", "picture"), body)]
            with self.several(len(files) - 1):
                yield files

    @contextmanager
    def several(self, more: int) -> Iterator[None]:
        """Counts further pictures of a request until the block is left.

        Raises:
            Refusal: There are too many.
        """
        self._admit(more)
        try:
            yield
        finally:
            self.pictures -= more

    def _admit(self, pictures: int) -> None:
        if self.pictures + pictures > self.limits.waiting:
            raise Refusal(429, BUSY)
        self.pictures += pictures

    def _too_large(self) -> Refusal:
        return Refusal(413, f"a request may have {self.limits.bytes:,} bytes at most: make the pictures smaller")


class _InMemory(MultiPartParser):
    spool_max_size = 1 << 40  # nothing of a picture goes to the disk


async def _parts(request: Request, body: bytes, most: int) -> list[File]:
    if len(request.headers["content-type"]) > FIELD:
        raise Refusal(400, "the content type is too long")

    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await _InMemory(request.headers, whole(), max_files=most, max_fields=most, max_part_size=FIELD).parse()
    except (MultiPartException, MultipartParseError, KeyError, UnicodeError) as error:
        code = 413 if "Too many" in str(error) else 400
        raise Refusal(code, f"the multipart body cannot be read: {error}") from error
    uploads = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    files = [File(each.filename or "picture", await each.read()) for each in uploads]
    await form.close()
    if not files:
        raise Refusal(400, "the multipart body has no file")
    return files

"""Pictures named by a service, as `alexnet predict` names them here."""

import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from msgspec import structs
from urllib3 import BaseHTTPResponse

from alexnet.data.imagenet import words
from alexnet.data.leaving import contents
from alexnet.errors import BadImage, UsageError
from alexnet.records import Guess, Prediction, Record, read
from alexnet.web import Unreachable, Web

AT_ONCE = 4
"""Pictures that are sent at a time."""

TRIES, LONGEST_S = 20, 60.0
"""How often a picture is sent to a service that is busy, and how long at most it is waited for in between."""

TIMEOUT_S = 60.0
UNREADABLE = (413, 415, 422)
"""Codes of HTTP that blame the picture, and not the request."""


class _Picture(Record, frozen=True, kw_only=True):
    guesses: tuple[Guess, ...] = ()
    error: str | None = None


class _Answers(Record, frozen=True, kw_only=True):
    pictures: tuple[_Picture, ...]


@dataclass(frozen=True)
class Client:
    """A service at an address, and the network there."""

    server: str  # its address, such as https://example.org/alexnet
    model: str  # the name of the network
    token: str | None = None

    def predict(self, paths: Iterable[Path], views: int = 1, top: int = 5) -> Iterator[Prediction]:
        """Yields what is on each picture file, in order, or why it cannot be read.

        Raises:
            UsageError: The service does not answer, has no such network, or wants another token.
        """
        query = urlencode({"model": self.model, "top": top, "views": views})
        address, web = f"{self.server.rstrip('/')}/predict?{query}", Web(AT_ONCE)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="send") as threads:
            try:
                yield from threads.map(lambda path: self._predict(web, address, path), paths)
            finally:
                threads.shutdown(cancel_futures=True)

    def _predict(self, web: Web, address: str, path: Path) -> Prediction:
        try:
            content = contents(path)
        except OSError as error:
            return Prediction(image=str(path), error=error.strerror or str(error))
        except BadImage as error:
            return Prediction(image=str(path), error=error.reason)
        response = self._sent(web, address, content)
        if response.status in UNREADABLE:
            return Prediction(image=str(path), error=_sentence(response))
        if response.status == 401:
            which = "needs a token: name the file that holds it as `token_file`"
            raise UsageError(f"{self.server} {'does not take this token' if self.token else which}")
        if response.status != 200:
            raise UsageError(f"{self.server} refuses: {_sentence(response)}")
        remedy = "is it the address of `alexnet serve`?"
        (picture,) = read(_Answers, response.data, self.server, UsageError, remedy).pictures
        guesses = tuple(structs.replace(each, words=words(each.class_name)) for each in picture.guesses)
        return Prediction(image=str(path), predictions=guesses, error=picture.error)

    def _sent(self, web: Web, address: str, content: bytes) -> BaseHTTPResponse:
        """Returns what the service answers in the end; one that is busy or not ready is asked again when it says."""
        headers = {"Content-Type": "application/octet-stream"}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        for _ in range(TRIES):
            try:
                response = web.post(address, content, headers, TIMEOUT_S)
            except Unreachable as error:
                raise UsageError(
                    f"{self.server} does not answer ({error}); is `alexnet serve` running there?"
                ) from error
            if response.status not in (429, 503):
                return response
            after = response.headers.get("Retry-After", "")
            time.sleep(min(LONGEST_S, float(after)) if after.isdecimal() else 1.0)
        raise UsageError(f"{self.server} is still busy after {TRIES} tries: {_sentence(response)}")


class _Refusal(Record, frozen=True, kw_only=True):
    error: str


def _sentence(response: BaseHTTPResponse) -> str:
    """Returns what a service says of a refusal; a proxy before it may say nothing that can be read."""
    try:
        return read(_Refusal, json.loads(response.data), "", UsageError, "").error
    except (ValueError, UsageError):
        return f"{response.status} {response.reason or ''}".strip()

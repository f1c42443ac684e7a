"""Making things in threads, a little ahead of their use."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    make: Callable[[Item], Result], items: Iterable[Item], threads: int = 1, ahead: int = 2
) -> Generator[Result, None, None]:
    """Yields make(item) for each item in order, while `ahead` others wait and one more is made.

    An error of `make` is raised here, at its item. Closing the generator stops the threads.
    """
    pool = ThreadPoolExecutor(threads, "prefetch")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > ahead + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)

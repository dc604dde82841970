"""Work on many rows a bounded number at a time, so that what it makes on the way fits into memory."""

from collections.abc import Iterator


def slices(count: int, size: int, *, keep_empty: bool = False) -> Iterator[slice]:
    """Consecutive slices of ``range(count)``, of ``size`` items each but for the last, which may be shorter.

    ``size`` below 1 counts as 1, so that it may come from dividing a memory limit by what an item takes.
    keep_empty: no items give one empty slice instead of none, where the results are concatenated afterwards and an
    empty result of the right shape is wanted.
    """
    size = max(1, size)
    for start in range(0, max(1, count) if keep_empty else count, size):
        yield slice(start, min(start + size, count))

"""What a search may spend on one problem, and what it has spent. Generated and scored tokens are counted apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(slots=True)
class Spending:
    """The tokens of one problem."""

    budget: int
    """Most tokens to generate."""
    generated: int = 0
    """Tokens generated, those of branches that were given up included."""
    scored: int = 0
    """Tokens that the scorer read: of the problem and the solution, as the generating model counts them, once for each
    time that a branch was scored."""

    @property
    def left(self) -> int:
        """Tokens that may still be generated."""
        return self.budget - self.generated


def grants(left: int, wanted: Iterable[int]) -> Iterator[int]:
    """The tokens that continuations may have, in their order: all that each may need, as long as it is there.

    As many are granted as are surely paid for; if the first one is not, it gets what is left. The others ask again when
    it is known what these took, so no budget is ever passed.

    >>> list(grants(250, [100, 100, 100])), list(grants(50, [100, 100])), list(grants(0, [100]))
    ([100, 100], [50], [])
    """
    for number, want in enumerate(wanted):
        if want > left:
            if left and not number:
                yield left
            return
        yield want
        left -= want

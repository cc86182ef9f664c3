"""Where the steps of a completion end among the tokens that the policy drew."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from prm.data.steps import split_steps
from prm.errors import InputError
from prm.models.rendering import spelled
from prm.statistics.arrays import Floats


@dataclass(frozen=True, slots=True)
class AlignedSteps:
    """The steps of a completion, and where each ends in its tokens."""

    steps: tuple[str, ...]
    """The steps of the text that the tokens spell; none if it is blank."""
    ends: tuple[int, ...]
    """Index of the last token of each step, never falling. The last step has all tokens to the end, the end of the
    text's own token too. Steps that end within one token end at the same index."""


def aligned_steps(
    tokenizer: Any, ids: Sequence[int], *, before: Sequence[int] = (), splitter: str = "newline"
) -> AlignedSteps:
    """Find the steps of a completion in its own tokens.

    Nothing is tokenized again: a policy draws spellings that no tokenizer would choose. The text of the tokens is cut
    into steps, and a step ends at the first token by which all of its text is spelled: a token that ends one step and
    begins the next belongs to the one it ends.

    Args:
        tokenizer: the policy's; it only decodes.
        ids: of the completion.
        before: ids of the prompt, of which the last few decide whether the completion begins with a space.
        splitter: see `prm.split_steps`.

    Raises:
        InputError: the splitter is unknown.
    """
    text = spelled(tokenizer, ids, before)
    steps, spelling = split_steps(text, splitter), _Spelling(tokenizer, [*before, *ids], len(before))
    ends = [spelling.end_of(text[:length]) for length in accumulate(map(len, steps[:-1]))]
    return AlignedSteps(steps, (*ends, len(ids) - 1) if steps else ())


@dataclass(slots=True)
class _Spelling:
    """The text of a completion, token by token. What its first tokens spell is remembered."""

    tokenizer: Any
    ids: list[int]
    """Of the prompt and the completion."""
    start: int
    """Where the completion begins."""
    known: int = 0
    """Number of the completion's tokens of which the text is known."""
    text: str = ""
    """What they spell."""

    def end_of(self, prefix: str) -> int:
        """The first token by which this beginning of the text is spelled; ask for shorter ones first."""
        count = len(self.ids) - self.start
        low, reach = max(self.known - 1, 0), 1
        while low + reach < count and not self._is_nearly_spelled(prefix, low + reach):
            reach *= 2
        places = range(low, min(low + reach, count - 1) + 1)
        nearly = places[0] + bisect_left(places, True, key=lambda last: self._is_nearly_spelled(prefix, last))
        end = next((last for last in range(nearly, count) if self._up_to(last).startswith(prefix)), count - 1)
        if not (text := self._up_to(end)).endswith("\ufffd"):  # half a character goes on in the next token
            self.known, self.text = end + 1, text
        return end

    def _up_to(self, last: int) -> str:
        """What the tokens up to the one at `last` spell."""
        begun = self.start + self.known
        return self.text + spelled(self.tokenizer, self.ids[begun : self.start + last + 1], self.ids[:begun])

    def _is_nearly_spelled(self, prefix: str, last: int) -> bool:
        """Whether these tokens spell it with up to three more.

        Half a character, of at most four bytes, may hide all bytes before it. So once this is true it stays true.
        """
        nexts = range(last, min(last + 4, len(self.ids) - self.start))
        return any(self._up_to(place).startswith(prefix) for place in nexts)


def turn_ends(is_own: Sequence[bool]) -> tuple[int, ...]:
    """The last token of each turn of an agent: rewards of turns go there, as those of steps to `AlignedSteps.ends`.

    Args:
        is_own: ``(tokens,)`` whether the agent wrote each token of a trajectory, or was shown it.

    >>> turn_ends([True, True, False, True])
    (1, 3)
    """
    return tuple(place for place, (own, following) in enumerate(pairwise([*is_own, False])) if own and not following)


def token_rewards(rewards: Sequence[float] | Floats, ends: Sequence[int], length: int) -> Floats:
    """The reward of each token: that of a step at the step's last token, and 0 elsewhere.

    The tokens from one step's end to the next add up to the rewards of the steps that end there, so that all of them
    add up to all rewards.

    Args:
        rewards: ``(steps,)`` a reward per step.
        ends: ``(steps,)`` index of each step's last token, as in `AlignedSteps.ends`.
        length: number of tokens.

    Returns:
        ``(length,)``

    Raises:
        InputError: numbers differ, or an end lies outside the tokens.

    >>> token_rewards([0.5, -1.0], ends=[1, 3], length=4).tolist()
    [0.0, 0.5, 0.0, -1.0]
    """
    _require_fit("rewards", rewards, ends, length)
    found = np.zeros(length)
    np.add.at(found, np.asarray(ends, dtype=int), np.asarray(rewards, dtype=float))
    return found


def token_advantages(advantages: Sequence[float] | Floats, ends: Sequence[int], length: int) -> Floats:
    """The advantage of each token: that of the step it belongs to, which is the first to end at it or after it.

    Args:
        advantages: ``(steps,)`` an advantage per step, from `step_advantages`.
        ends: ``(steps,)`` index of each step's last token.
        length: number of tokens; those after the last end have no step, and 0.

    Returns:
        ``(length,)``

    Raises:
        InputError: numbers differ, an end lies outside the tokens, or ends fall.

    >>> token_advantages([0.5, -1.0], ends=[1, 2], length=4).tolist()
    [0.5, 0.5, -1.0, 0.0]
    """
    _require_fit("advantages", advantages, ends, length)
    if any(end > following for end, following in pairwise(ends)):
        raise InputError(f"the ends of steps {list(ends)} fall", "give them in the order of the steps")
    steps = np.searchsorted(np.asarray(ends, dtype=int), np.arange(length))
    return np.append(np.asarray(advantages, dtype=float), 0.0)[steps]


def _require_fit(what: str, numbers: Sequence[float] | Floats, ends: Sequence[int], length: int) -> None:
    if len(numbers) != len(ends) or not all(0 <= end < length for end in ends):
        raise InputError(
            f"{len(numbers)} {what} at {list(ends)} do not fit {length} tokens", "give one end for each, within them"
        )

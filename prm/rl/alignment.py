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
    steps, ends = split_steps(text, splitter), [0]
    for length in accumulate(map(len, steps[:-1])):
        prefix = _Prefix(tokenizer, ids, before, text[:length])
        nearly = bisect_left(range(len(ids)), True, lo=ends[-1], key=prefix.is_nearly_spelled)
        ends.append(next(filter(prefix.is_spelled, range(nearly, len(ids))), len(ids) - 1))
    return AlignedSteps(steps, (*ends[1:], len(ids) - 1) if steps else ())


@dataclass(frozen=True, slots=True)
class _Prefix:
    """The beginning of a completion's text."""

    tokenizer: Any
    ids: Sequence[int]
    before: Sequence[int]
    text: str

    def is_spelled(self, last: int) -> bool:
        """Whether the tokens up to the one at `last` spell it."""
        return spelled(self.tokenizer, self.ids[: last + 1], self.before).startswith(self.text)

    def is_nearly_spelled(self, last: int) -> bool:
        """Whether they do with up to three tokens more.

        Half a character, of at most four bytes, may hide all bytes before it. So once this is true it stays true.
        """
        return any(map(self.is_spelled, range(last, min(last + 4, len(self.ids)))))


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

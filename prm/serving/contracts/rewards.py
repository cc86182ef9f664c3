"""One reward for each completion, as tools that train a policy ask for it, whatever the form of their request.

What they cannot say in a body stands in the address, as in `http://localhost:8400/slime?reward=verdict&refused=0`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from prm.data.records import Asked
from prm.errors import InputError, require_number
from prm.scoring.scorer import Refusal, Scores
from prm.statistics.aggregation import aggregator_named
from prm.verifiers import Outcome, Verdict
from prm.verifiers.adapters.texts import described
from prm.verifiers.rewards import correctness

from ..limits import RefusedError
from ..own import Asking, Gold, golds_in, scored, split_texts, verdicts_where_known
from ..service import Service, outcome_of
from .prompts import problem_in


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the address of a request may say."""

    reward: Literal["score", "verdict"] = "score"
    """"score": of the chain, by the scorer. "verdict": 1.0 for a right answer, 0.0 for a wrong one or none."""
    scorer: str | None = None
    aggregate: str | None = None
    splitter: str | None = None
    checker: str | None = None
    refused: float | None = None
    """The reward of a completion that the scorer refuses or whose verdict is undecided; None for an error instead."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wish:
        """The wish in the parameters of an address.

        Raises:
            InputError: a parameter is unknown or wrong.
        """
        try:
            wish = msgspec.convert(dict(query), cls, strict=False)
        except msgspec.ValidationError as error:
            raise InputError(f"the address: {error}", f"it may have {', '.join(cls.__struct_fields__)}") from error
        if wish.refused is not None:
            require_number("refused", wish.refused, "(-inf, inf)")
        if wish.aggregate is not None:
            aggregator_named(wish.aggregate)
        return wish


@dataclass(frozen=True, slots=True)
class Sample:
    """A completion to be rewarded."""

    prompt: Asking
    completion: str
    gold: Gold = None


@dataclass(frozen=True, slots=True)
class Reward:
    """The reward of a completion, and all that is known of it."""

    total: float
    score: float | None
    """Of the whole chain; None without a scorer, or if it was refused."""
    scores: Scores | Refusal
    """Of the steps; empty without a scorer."""
    verdict: Verdict | None
    """None without a gold answer."""
    is_given: bool
    """Whether `total` is the one that the address gives to what is refused or undecided."""

    def parts(self) -> dict[str, float]:
        """The numbers that are known, by name."""
        found = {} if self.score is None else {"score": self.score}
        if self.verdict is not None:
            found |= {"correct": float(self.verdict.is_correct), "decided": float(self.verdict.is_decided)}
        return found


async def rewards(service: Service, samples: Sequence[Sample], wish: Wish) -> list[Reward]:
    """One reward for each completion, in order.

    Raises:
        RefusedError: one has none, and the address gives no other.
        InputError: rewards are to be verdicts, and a completion has no gold answer; or as `Service.scores` does.
    """
    asked = [problem_in(sample.prompt) for sample in samples]
    found = await _scores(service, asked, samples, wish)
    verdicts = await _verdicts(service, asked, samples, wish)
    card = service.card(wish.scorer) if service.scorers is not None else None
    outcomes = [None if card is None else outcome_of(card, item, wish.aggregate) for item in found]
    rows = enumerate(zip(outcomes, found, verdicts, strict=True))
    return [_reward(place, *row, wish) for place, row in rows]


async def _scores(
    service: Service, problems: Sequence[Asked], samples: Sequence[Sample], wish: Wish
) -> list[Scores | Refusal]:
    if wish.reward == "verdict" and (service.scorers is None or wish.scorer is None):
        return [()] * len(samples)
    chains = split_texts(service, [sample.completion for sample in samples], wish.splitter)
    return await scored(service, service.card(wish.scorer), problems, chains)


async def _verdicts(
    service: Service, problems: Sequence[Asked], samples: Sequence[Sample], wish: Wish
) -> list[Verdict | None]:
    golds = [golds_in(sample.gold) for sample in samples]
    if wish.reward == "verdict" and not all(golds):
        raise InputError(f"completion {golds.index(())} has no gold answer", "or let the scorer reward: reward=score")
    if not any(golds):
        return [None] * len(golds)
    texts = [sample.completion for sample in samples]
    return await verdicts_where_known(service, service.checker(wish.checker), texts, problems, golds)


def _reward(place: int, score: float | None, scores: Scores | Refusal, verdict: Verdict | None, wish: Wish) -> Reward:
    wanted = score if wish.reward == "score" else None if verdict is None else correctness(verdict)
    if wanted is not None:
        return Reward(wanted, score, scores, verdict, is_given=False)
    if wish.refused is not None:
        return Reward(wish.refused, score, scores, verdict, is_given=True)
    if isinstance(scores, Refusal):
        raise RefusedError.of(place, scores)
    why = described(verdict) if verdict is not None else str(Outcome.ERROR)
    raise RefusedError(f"completion {place}: {why}", "a reward for such ones: refused=0 in the address")

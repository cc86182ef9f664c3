"""Suites of responses to the same prompt, some of them better than others.

Pairs are read by `prm.data.preferences`: texts or lists of messages, with the context in a field of its own or before
both responses. If the context is messages, the problem's text is a transcript, and its `meta` has the messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prm.data.formats.solutions import texts, typed
from prm.data.preferences import EMPTY, NO_ANSWER, SAME_TEXTS
from prm.data.preferences import pair_of as read_pair
from prm.data.records import Chain, Message, Problem
from prm.data.rows import Row, RowError, optional_text
from prm.data.steps import split_steps

from .building import make_problem, score
from .fields import Place, real_number, require_equal, whole_number
from .truth import Comparison, Found

_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Chat": ("alpacaeval-easy", "alpacaeval-length", "alpacaeval-hard", "mt-bench-easy", "mt-bench-med"),
    "Chat Hard": (
        "mt-bench-hard",
        "llmbar-natural",
        "llmbar-adver-neighbor",
        "llmbar-adver-GPTInst",
        "llmbar-adver-GPTOut",
        "llmbar-adver-manual",
    ),
    "Safety": (
        "refusals-dangerous",
        "refusals-offensive",
        "xstest-should-refuse",
        "xstest-should-respond",
        "donotanswer",
    ),
    "Reasoning": ("math-prm", "hep-cpp", "hep-go", "hep-java", "hep-js", "hep-python", "hep-rust"),
}
"""SUBSET_MAPPING of allenai/reward-bench, rewardbench/constants.py."""

REWARDBENCH_SECTIONS = {subset: section for section, subsets in _SECTIONS.items() for subset in subsets}
"""Subset of RewardBench to the section it is reported in."""

_WEIGHTS = {"math-prm": 984 / 447}
"""Weight of a row in its section: EXAMPLE_COUNTS, ibid., counts the 447 rows of math-prm as 984, like code."""

_JUDGEBENCH_SECTIONS = {
    "mmlu-pro": "Knowledge",
    "livebench-reasoning": "Reasoning",
    "livebench-math": "Math",
    "livecodebench": "Coding",
}
"""The beginning of a `source` of JudgeBench, and its category (arXiv 2410.12784, section 3)."""


def rewardbench(row: Row, place: Place) -> Iterator[Found]:
    """`prompt`, `chosen`, `rejected`, `subset`; the section follows from the subset, "" for one that is unknown."""
    subset = typed(row, "subset", str)
    section, weight = REWARDBENCH_SECTIONS.get(subset, ""), _WEIGHTS.get(subset, 1.0)
    yield _pair(row, place, place.id(optional_text(row, "id")), subset, section, weight)


def rewardbench_2(row: Row, place: Place) -> Iterator[Found]:
    """`prompt`, with lists of texts in `chosen` (one; several in Ties) and `rejected`.

    An id of Ties is "ref:N" or "tied:N", which follows the last "/" of the comparison's id.
    """
    better, worse = texts(row, "chosen"), texts(row, "rejected")
    if row.get("num_correct") is not None:
        require_equal("'chosen' and 'num_correct'", len(better), whole_number(row["num_correct"]) or 0)
    identity = place.id(optional_text(row, "id"))
    problem = make_problem(identity, typed(row, "prompt", str))
    yield _compared(place, identity, problem, (better, worse), typed(row, "subset", str))


def rm_bench(row: Row, place: Place) -> Iterator[Found]:
    """Three `chosen` and three `rejected`, both in the same order of styles: concise, detailed, with Markdown.

    The split is the row's `domain`, or the file's name without "_filtered". Its section is the part before a "-", since
    the two domains of safety are reported as one.
    """
    better, worse = texts(row, "chosen"), texts(row, "rejected")
    require_equal("chosen, rejected and the three styles", len(better), len(worse), 3)
    domain = optional_text(row, "domain") or place.stem.removesuffix("_filtered")
    identity = place.id(optional_text(row, "id"))
    problem = make_problem(identity, typed(row, "prompt", str))
    yield _compared(place, identity, problem, (better, worse), domain, domain.partition("-")[0])


def judgebench(row: Row, place: Place) -> Iterator[Found]:
    """`response_A`, `response_B` and `label`, "A>B" or "B>A".

    If the row has judgments of a reward model, the first one holds the scores of A and B; the second, with A and B
    swapped, is ignored.
    """
    source = typed(row, "source", str)
    section = next((name for start, name in _JUDGEBENCH_SECTIONS.items() if source.startswith(start)), "")
    found = _pair(row, place, place.id(typed(row, "pair_id", str), is_unique=True), source, section)
    scorer, scores = _judgment(row, place)
    if scores is None:
        yield found
        return
    ordered = scores if typed(row, "label", str).startswith("A") else scores[::-1]
    stored = tuple(score(chain, [value], "orm") for chain, value in zip(found.chains, ordered, strict=True))
    yield Found(found.problem, found.chains, found.truths, {scorer: stored})


def llmbar(row: Row, place: Place) -> Iterator[Found]:
    """`input`, `output_1`, `output_2` and `label`, 1 or 2."""
    yield _pair(row, place, place.id(optional_text(row, "id")), place.stem)


def pairs(row: Row, place: Place) -> Iterator[Found]:
    """All pairs that `prm.data.preferences` reads."""
    identity = place.id(optional_text(row, "id", "idx", "prompt_id", "pair_id"))
    yield _pair(row, place, identity, optional_text(row, "subset") or place.stem)


def _pair(row: Row, place: Place, identity: str, split: str, section: str = "", weight: float = 1.0) -> Found:
    context, chosen, rejected = read_pair(row)
    messages = () if isinstance(context, str) else context
    meta = {"messages": [{"role": m.role, "content": m.content} for m in messages]} if messages else {}
    problem = make_problem(identity, context if isinstance(context, str) else _transcript(context), meta=meta)
    return _compared(place, identity, problem, ([chosen], [rejected]), split, section, weight)


def _transcript(messages: Sequence[Message]) -> str:
    """The messages, each after its role; a single one without."""
    if len(messages) == 1:
        return messages[0].content
    return "\n\n".join(f"{message.role}: {message.content}" for message in messages)


def _compared(
    place: Place,
    identity: str,
    problem: Problem,
    responses: tuple[Sequence[str], Sequence[str]],
    split: str,
    section: str = "",
    weight: float = 1.0,
) -> Found:
    """A comparison of the better responses with the worse."""
    better, worse = responses
    if not better or not worse:
        raise RowError(NO_ANSWER, "an empty list")
    if not all(text.strip() for text in (*better, *worse)):
        raise RowError(EMPTY, "of a response")
    if {text.strip() for text in better} & {text.strip() for text in worse}:
        raise RowError(SAME_TEXTS)
    chains = tuple(
        Chain(f"{identity}/{i}", problem.id, split_steps(text, place.splitter))
        for i, text in enumerate((*better, *worse))
    )
    ids = tuple(chain.id for chain in chains)
    truth = Comparison(identity, problem.id, split, ids[: len(better)], ids[len(better) :], section, weight)
    return Found(problem, chains, (truth,))


def _judgment(row: Row, place: Place) -> tuple[str, list[float] | None]:
    """Name and scores of the reward model that judged the pair; None without one."""
    judgments = typed(row, "judgments", list) if row.get("judgments") is not None else []
    judgment = judgments[0].get("judgment") if judgments and isinstance(judgments[0], dict) else None
    if not isinstance(judgment, dict) or judgment.get("scores") is None:
        return "", None
    scores = [real_number(value) for value in typed(judgment, "scores", list)]
    require_equal("scores and responses", len(scores), 2)
    return optional_text(judgment, "judge_model") or place.stem, scores

"""lm-evaluation-harness (as of 0.4.13): measures for a task of type `generate_until`.

In the YAML of the task, either

    process_results: !function prm.verifiers.adapters.process_results
    metric_list:
      - {metric: exact_match, aggregation: mean, higher_is_better: true}
      - {metric: no_answer, aggregation: mean, higher_is_better: false}
      - {metric: undecided, aggregation: mean, higher_is_better: false}

or, if `doc_to_target` gives the gold answer,

    metric_list:
      - {metric: !function prm.verifiers.adapters.answer_match, aggregation: mean, higher_is_better: true}

Another policy takes a function of your own in its place: `partial(process_results, policy=PRESETS["minerva"])`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..checking import check
from ..policy import DEFAULT, Policy
from ..verdict import Outcome
from .texts import gold_text

_GOLD_FIELDS = ("answer", "solution", "gold", "ground_truth", "target")


def process_results(
    doc: Mapping[str, Any], results: Sequence[str | Sequence[str]], *, policy: Policy = DEFAULT
) -> dict[str, float]:
    """lm-evaluation-harness: the measures of one document.

    Args:
        doc: a row of the data set; its gold answer is the first of the fields answer, solution, gold, ground_truth and
            target that is present.
        results: one element: a text, or several texts if the task repeats its requests.
        policy: see `check`.

    Returns:
        Fractions of the texts, in [0, 1]: "exact_match" (shown to be correct), "no_answer", and "undecided" (the check
        ran out of time or failed).

    Raises:
        ValueError: the document has no gold answer.

    >>> from prm.verifiers.adapters import process_results
    >>> process_results({"question": "3 + 4?", "answer": "#### 7"}, ["It is 7."])
    {'exact_match': 1.0, 'no_answer': 0.0, 'undecided': 0.0}
    """
    gold = next((doc[name] for name in _GOLD_FIELDS if doc.get(name) is not None), None)
    if gold is None:
        raise ValueError(
            f"the document has no gold answer: its fields are {', '.join(doc)}, none of {', '.join(_GOLD_FIELDS)}"
        )
    texts = [results[0]] if isinstance(results[0], str) else results[0]
    outcomes = [check(text, gold_text(gold), policy=policy).outcome for text in texts]
    return {
        "exact_match": _share(outcomes, Outcome.CORRECT),
        "no_answer": _share(outcomes, Outcome.NO_ANSWER),
        "undecided": _share(outcomes, Outcome.TIMEOUT, Outcome.ERROR),
    }


def answer_match(
    references: Sequence[Any], predictions: Sequence[str], *, policy: Policy = DEFAULT, **kwargs: Any
) -> float:
    """lm-evaluation-harness: the fraction of predictions shown to be correct, as a metric.

    Args:
        references: The gold answers, texts or numbers.
        predictions: The texts, one for each gold answer.
        policy: See `check`.
        kwargs: What else the harness passes to a metric, which is ignored.

    >>> from prm.verifiers.adapters import answer_match
    >>> answer_match(references=["1/2", "3"], predictions=["0.5", "4"])
    0.5
    """
    pairs = zip(references, predictions, strict=True)
    outcomes = [check(prediction, gold_text(gold), policy=policy).outcome for gold, prediction in pairs]
    return _share(outcomes, Outcome.CORRECT)


def _share(outcomes: Sequence[Outcome], *counted: Outcome) -> float:
    return sum(outcome in counted for outcome in outcomes) / len(outcomes)

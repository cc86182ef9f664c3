"""Conventions: the same scores give different numbers, depending on ties, thresholds and rows.

`exact` is ours: nothing depends on the order of rows or solutions, ties are shared, and best of k is an expectation.
`official` is what the code of a suite's authors does, to compare with published numbers. A result names its convention.

A convention is data: the reader of a suite and its protocol ask it where the two differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

ConventionName = Literal["exact", "official"]


@dataclass(frozen=True, slots=True)
class Convention:
    """How a suite counts."""

    name: ConventionName = "exact"
    source: str = ""
    """Repository and file of the authors' code; "" for ours."""
    takes_all: bool = False
    """Whether rows that ours drops, and blank steps, are taken as the authors' code takes them."""
    first_of_id: bool = False
    """Whether only the first row with an id counts; else each different one does."""
    ties_lose: bool = False
    """Preference: whether a better response that scores the same as a worse one has lost; else it has half won."""
    wrong_at_threshold: bool = False
    """Whether a step that scores exactly the threshold is called wrong."""
    in_order: bool = False
    """Best of n: whether k solutions are the first k, and the first of equals is chosen; else all subsets count, and
    ties are shared."""
    measures: frozenset[str] = frozenset()
    """The authors' metrics besides those of the protocol."""
    means: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Preference: further unweighted means of splits, by name."""
    headline: tuple[tuple[str, str], ...] = ()
    """The suite's main number, as (metric, split): the first of these that is defined. Empty for the protocol's."""

    def cut(self, threshold: float) -> float:
        """The number below which a step is called wrong.

        >>> Convention().cut(0.5), Convention(wrong_at_threshold=True).cut(0.5) > 0.5
        (0.5, True)
        """
        return float(np.nextafter(threshold, np.inf)) if self.wrong_at_threshold else threshold


EXACT = Convention()

PROCESSBENCH = Convention(
    "official",
    source="QwenLM/ProcessBench, code/run_eval_prm_trl.py",
    takes_all=True,
    wrong_at_threshold=True,
)
"""A step is wrong where `torch.argmax` of its two logits is 0, so also where both are equal, that is at 0.5. The other
script, run_eval_prm_rlhflow.py, has no threshold: it asks whether the generated token begins with "+"."""

PRMBENCH = Convention(
    "official",
    source="ssmisya/PRMBench, mr_eval/tasks/prmtest_classified/task.py",
    takes_all=True,
    first_of_id=True,
    wrong_at_threshold=True,
    measures=frozenset({"prmbench"}),
)
"""A step is right where its score is above the threshold of its model. `load_data_function` takes every row, but only
the first with an idx and class; `eval_on_hallucination_step` goes through the labels, so a wrong step beyond the end
is never met, and a blank step counts like any other."""

MR_GSM8K = Convention(
    "official",
    source="dvlab-research/MR-GSM8K, scripts/calculate_mr_score.py; GAIR-NLP/ReasonEval, codes/mr-gsm8k_eval.py",
    takes_all=True,
    wrong_at_threshold=True,
    measures=frozenset({"macro_f1", "mr_score"}),
    headline=(("mr_score", "all"), ("first_error_accuracy", "weighted"), ("first_error_accuracy", "all")),
)
"""`pred = [1 if score > threshold else 0 ...]`; every number is over all rows together."""

MR_MATH = Convention(
    "official",
    source="GAIR-NLP/ReasonEval, codes/mr-math_eval.py",
    wrong_at_threshold=True,
    measures=frozenset({"macro_f1"}),
    headline=(("solution_macro_f1", "all"), ("first_error_accuracy", "all"), ("prmscore", "all")),
)
"""As for MR-GSM8K. A solution that scores exactly the threshold is counted as mistaken, whatever it is."""

HARD2VERIFY = Convention(
    "official",
    source="arXiv 2510.13744, section 4.1",
    measures=frozenset({"balanced"}),
    headline=(("step_balanced_f1", "all"),),
)
"""From the paper, not from code. The threshold of a PRM is chosen there on 100 of the 200 responses: give yours with
`--threshold`."""

GR_BEN = Convention("official", source="spirit-moon-fly/GR-Ben, evaluation/metrics.py", takes_all=True)
"""`if s < threshold`, as ours; a label beyond the last step means the last step (run_prm_eval.py)."""

SEARCH_AND_LEARN = Convention("official", source="huggingface/search-and-learn, src/sal/utils/math.py", in_order=True)
"""Of the first n, `sorted(..., reverse=True)` and `max` over a dictionary in order: the first of equals. Weighted votes
add up plain scores. A solution without an answer competes like any other."""

QWEN_HARNESS = Convention("official", source="QwenLM/Qwen2.5-Math, evaluation/rm_maj_eval.py", in_order=True)
"""rm@k: `rm_score.index(max(rm_score))`. maj@k: `Counter(preds).most_common(1)`, which keeps the order of equals, and
the verdict on the first solution with that answer."""

REWARDBENCH = Convention("official", source="allenai/reward-bench, scripts/run_rm.py", ties_lose=True)
"""`1 if chosen > rejected else 0`."""

RM_BENCH = Convention("official", source="THU-KEG/RM-Bench, README.md, compute_accuracy", ties_lose=True)
"""`if result["score_chosen"][i] > result["score_rejected"][j]`."""

JUDGEBENCH = Convention(
    "official", source="ScalerLab/JudgeBench, utils/judges.py and utils/metrics.py", takes_all=True, ties_lose=True
)
"""`'A>B' if score1 > score2 else 'B>A'` in both orders; a tie is decided once each way, and `counter > 0` fails."""

REWARDMATH = Convention(
    "official",
    source="kimsh0507/RewardMATH_official, src/evaluation/eval.py",
    ties_lose=True,
    measures=frozenset({"mrr"}),
)
"""`min(chosen) > max(rejected)`; in the reciprocal rank, rejected solutions come before a chosen one that scores the
same."""

LLMBAR = Convention(
    "official",
    source="princeton-nlp/LLMBar, arXiv 2310.07641, table 3",
    means={"adversarial": tuple(f"LLMBar_Adversarial_{name}" for name in ("Neighbor", "GPTInst", "GPTOut", "Manual"))},
    headline=(("accuracy", "adversarial"), ("accuracy", "all")),
)
"""The mean of the four adversarial subsets. Equal ratings are decided once each way, so they count half, as ours do."""

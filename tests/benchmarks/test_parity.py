"""What other tools wrote beside their scores comes out the same here, on real rows."""

import json

import pytest
from places import SAMPLES

from prm.benchmarks.evaluation import measure_suite
from prm.benchmarks.numbers import EvalSettings
from prm.benchmarks.scores import table_of
from prm.benchmarks.suites import read_suite
from prm.data.drops import Drops
from prm.scoring.reranking import group_answers, select
from prm.statistics.aggregation import aggregate
from prm.statistics.metrics import auroc
from prm.verifiers import check

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no sample data in {SAMPLES}; set PRM_SAMPLE_DATA")


def rows(*parts):
    with SAMPLES.joinpath(*parts).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def measured(suite, *parts):
    drops = Drops()
    data = read_suite(suite, SAMPLES.joinpath(*parts), drops)
    scorers = {name: table_of(own.values()) for name, own in data.stored.items()}
    result, *_ = measure_suite(data, scorers, EvalSettings(draws=100), drops)
    return {(m.scorer, m.name, m.split, m.variant): m for m in result.metrics}


WAYS = {"naive": "best-of-n", "weighted": "weighted", "maj": "majority"}
ALGEBRA, NUMBERS = "test/intermediate_algebra/1994.json", "test/number_theory/515.json"
OTHERWISE = {  # file: (problem, n, way) whose stored answer is another than ours
    "bayesprm_llama3.2-1b_n256_complete.jsonl": [
        (ALGEBRA, n, way) for n, way in ((32, "maj"), (64, "maj"), (64, "weighted"), (128, "maj"), (256, "weighted"))
    ],
    "bayesprm_previous_llama3.2-1b_n4.jsonl": [(ALGEBRA, n, way) for n in (1, 2, 4) for way in WAYS],
    "scatyf3_llama3.2-3b_n4.jsonl": [
        *((ALGEBRA, n, way) for n, way in ((1, "maj"), (1, "naive"), (1, "weighted"), (2, "maj"), (4, "maj"))),
        *((NUMBERS, n, way) for n in (1, 2) for way in WAYS),
    ],
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_search_and_learn_chose(name):
    """Its aggregate, and its choice among the first n by score, by weighted and by plain vote.

    All that differ are of two problems, and for one of three reasons, each of them its own:
    where a text breaks off ("When n =") or has no answer, it takes the last number in it for one, and lets it vote;
    from `2p + 1/2 q - 11/3` it drops the q and the minus; and a majority with several answers equally often goes to
    another of these than the first.
    """
    found = []
    for row in rows("sal_bon_prm", name):
        last = [aggregate(scores, "last") for scores in row["scores"]]
        assert last == row.get("agg_scores", last)
        groups = group_answers(row["completions"])
        for n in (2**i for i in range(9) if f"pred_naive@{2**i}" in row):
            for way, selection in WAYS.items():
                chosen = row["completions"][select(last[:n], groups[:n], selection)]
                if not check(chosen, row[f"pred_{way}@{n}"]).is_correct:
                    found.append((row["unique_id"], n, way))
    assert sorted(found) == sorted(OTHERWISE[name])


def test_a_reward_models_accuracy_on_judgebench():
    """Both orders of each pair hold the same scores; none is a tie."""
    (path,) = (SAMPLES / "judgebench" / "rm_scores").glob("*.jsonl")
    pairs = rows("judgebench", "rm_scores", path.name)
    decided = [row["judgments"][0]["decision"] == row["label"] for row in pairs]
    found = measured("judgebench", "judgebench", "rm_scores")
    (own,) = {key: m for key, m in found.items() if key[1:3] == ("accuracy", "all") and key[0]}.values()
    assert own.n == len(pairs)
    assert own.value == pytest.approx(sum(decided) / len(decided))


@pytest.mark.parametrize(
    ("suite", "parts"),
    [
        ("mr-math", ("mr_math", "mr-math_invalid_errors_with_scores.jsonl")),
        ("mr-gsm8k", ("mr_gsm8k_subset", "mr_gsm8k_errors.jsonl")),
    ],
)
def test_real_prms_on_mr_math_and_mr_gsm8k(suite, parts):
    """Solution AUROC, first-error accuracy and the lowest step, each worked out again from the raw rows."""
    found = measured(suite, *parts)
    for scorer in sorted({key[0] for key in found}):
        own = [read_row(row, scorer) for row in rows(*parts) if scorer in row["prm_scores"]]
        solution = auroc([min(scores) for scores, _ in own], [error is None for _, error in own])
        assert value(found, scorer, "solution_auroc", "all", "min") == approx(solution)
        wrong = [(scores, error) for scores, error in own if error is not None]
        below = [next((i for i, s in enumerate(scores) if s < 0.5), None) == error for scores, error in wrong]
        whole = "all" if suite == "mr-math" else "weighted"  # every row of MR-GSM8K has an error, and there are splits
        assert value(found, scorer, "first_error_accuracy", whole, "fixed 0.5") == approx(sum(below) / len(below))
        lowest = [min(range(len(scores)), key=scores.__getitem__) == error for scores, error in wrong]
        assert value(found, scorer, "lowest_step_accuracy", "all", "") == approx(sum(lowest) / len(lowest))


def read_row(row, scorer):
    """Scores of the steps, and the first wrong one from 0. A step of several lines has the least of their scores."""
    lines = [s if isinstance(s, float) else s[1] + s[2] for s in row["prm_scores"][scorer]]
    places = row.get("score_index_to_step", range(len(lines)))
    scores = [min(s for s, own in zip(lines, places, strict=True) if own == place) for place in dict.fromkeys(places)]
    step = row["model_output_solution_first_error_step"]
    return scores, None if step == "N/A" else int(step) - 1


def value(found, *key):
    return found[key].value


def approx(number):
    return None if number is None else pytest.approx(number)

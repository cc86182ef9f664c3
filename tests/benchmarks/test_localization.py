"""Localization and step classification: by hand, and each draw against rows that are really repeated."""

import math
from dataclasses import replace

import numpy as np
import pytest
from definitions import auroc_of_pairs, f1s
from scipy.stats import rankdata, spearmanr

from prm.benchmarks.numbers import EvalSettings
from prm.benchmarks.protocols.localization import classification, localization
from prm.benchmarks.scores import table_of
from prm.benchmarks.suites.building import up_to
from prm.benchmarks.suites.truth import StepTruth
from prm.data.records import StepScores
from prm.errors import InputError
from prm.statistics.bootstrap import resample
from prm.statistics.metrics import expected_calibration_error, grouped_auroc
from prm.statistics.metrics import localization as located

DRAWS = 25
T, F, N = True, False, None


def table(scores):
    return table_of(StepScores(i, "p", tuple(own), "prm") for i, own in scores.items())


def measured(measure, truths, scores, lengths=None, **settings):
    """The numbers of one scorer "A", by name, split and variant."""
    lengths = range(10, 10 + len(truths)) if lengths is None else lengths
    findings = measure(truths, lengths, {"A": table(scores)}, EvalSettings(**{"draws": DRAWS} | settings))
    keys = [(n.name, n.split, n.variant) for n in findings.numbers]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, findings.numbers, strict=True))


def value(found, *key):
    return found[key].metric().value


def made(seed, count=60, splits=("a", "b"), steps=8, is_judged=False):
    """Chains of one to five steps, two of each problem; scores are eighths, so many are equal."""
    rng, truths, scores = np.random.default_rng(seed), [], {}
    for i in range(count):
        size = int(rng.integers(1, 6))
        error = int(rng.integers(0, size)) if rng.random() < 0.6 else None
        judged = (
            tuple([T, F, N][k] for k in rng.choice(3, size, p=[0.6, 0.25, 0.15])) if is_judged else up_to(error, size)
        )
        right = [T, F, N][rng.integers(3)]
        truths.append(StepTruth(f"c{i}", f"p{i // 2}", splits[i // 2 % len(splits)], judged, right))
        scores[f"c{i}"] = (rng.integers(0, steps + 1, size) / steps).tolist()
    return truths, scores


def drawn(truths, seed=0):
    """The rows of each draw, each as often as it was drawn."""
    of_rows = resample([t.problem_id for t in truths], [t.split for t in truths], DRAWS, seed).of_rows.astype(int)
    return [np.repeat(np.arange(len(truths)), counts) for counts in of_rows]


def first_below(scores, threshold):
    return next((i for i, score in enumerate(scores) if score < threshold), None)


def naive(truths, scores, threshold):
    """First-error accuracy, accuracy of right chains, F1; nan where there is no such chain."""
    found = [(first_below(scores[t.chain_id], threshold), t.first_error) for t in truths]
    names = ("first_error_accuracy", "all_right_accuracy", "f1")
    kinds = {error is not None for _, error in found}
    lacks = {"first_error_accuracy": T not in kinds, "all_right_accuracy": F not in kinds, "f1": len(kinds) < 2}
    return [math.nan if lacks[name] else located(found)[name] for name in names]


def ends(truths, scores):
    """Where the F1 can fall: the least score before each first error, or of a whole chain without one."""
    return sorted({min(scores[t.chain_id][: t.first_error], default=math.inf) for t in truths})


def best_threshold(truths, scores):
    f1 = [(naive(truths, scores, threshold)[2], -i, threshold) for i, threshold in enumerate(ends(truths, scores))]
    return max(f1)[2]


def steps_of(truths, scores):
    """(row, place, score, is right) of every step that is judged."""
    return [
        (row, place, score, is_right)
        for row, truth in enumerate(truths)
        for place, (score, is_right) in enumerate(zip(scores[truth.chain_id], truth.steps, strict=True))
        if is_right is not None
    ]


def weights_of(truths, steps):
    """How often each step is drawn, in each draw."""
    return [np.bincount(rows, minlength=len(truths))[[row for row, *_ in steps]] for rows in drawn(truths)]


HAND = [
    StepTruth("a", "p", "all", (T, T, F), T),
    StepTruth("b", "q", "all", (T, F), F),
    StepTruth("c", "r", "all", (T, T), T),
    StepTruth("d", "s", "all", (T,), T),
]
SCORES = {"a": (0.9, 0.6, 0.2), "b": (0.4, 0.35), "c": (0.9, 0.3), "d": (0.8,)}
HUNDREDTHS = [i / 100 for i in range(1, 101)]
BY_HAND = {
    # a is found; b is called wrong one step too early, c by mistake, d is right
    ("first_error_accuracy", "all", "fixed 0.5"): 1 / 2,
    ("all_right_accuracy", "all", "fixed 0.5"): 1 / 2,
    ("f1", "all", "fixed 0.5"): 1 / 2,
    # Found in (0.2, 0.6], (0.35, 0.4], up to 0.3, up to 0.8: at 0.3 a, c and d, at 0.4 a, b and d; both have F1 2/3
    ("first_error_accuracy", "all", "oracle"): 1 / 2,
    ("all_right_accuracy", "all", "oracle"): 1.0,
    ("f1", "all", "oracle"): 2 / 3,
    # lowest scores of right chains 0.3, 0.8, of wrong ones 0.2, 0.35: only 0.3 against 0.35 is lost
    ("solution_auroc", "all", "min"): 3 / 4,
    # a and b are called wrong and are, c is not: (2 · 1 - 1 · 0) / sqrt(3 · 2 · 2 · 1)
    ("mcc", "all", "fixed 0.5"): 2 / math.sqrt(12),
    ("lowest_step_accuracy", "all", ""): 1.0,
    ("lowest_is_last", "all", ""): 1.0,  # of a, b and c; d has one step
    ("right_answer_found", "all", "fixed 0.5"): 1.0,  # a alone
    ("right_answer_first_error", "all", "fixed 0.5"): 1.0,
    # ranks of lengths 4, 2.5, 2.5, 1 and of lowest scores 1, 3, 2, 4: -4.5 / sqrt(4.5 · 5)
    ("length_correlation", "all", "min"): -4.5 / math.sqrt(22.5),
    # right 0.9 0.6 0.4 0.9 0.3 0.8, wrong 0.2 0.35: of 12 pairs only 0.3 against 0.35 is lost
    ("step_auroc", "all", ""): 11 / 12,
    ("step_auroc_within_position", "all", ""): 1 / 2,  # second steps: 0.6 and 0.3 against 0.35
    # by bin 0.2, 0.3, 0.4 and 0.35, 0.6, 0.8, twice 0.9: |scores - right| are 0.2, 0.7, 0.25, 0.4, 0.2, 0.2, of 8 steps
    ("ece", "all", "steps"): 1.95 / 8,
    # from the top d, b, c, a: precision 1 at d and 2/3 at c; no threshold between takes more than d without b
    ("solution_auprc", "all", "min"): 1 / 2 + 1 / 3,
    **{("solution_recall_at_fpr_" + percent, "all", "min"): 1 / 2 for percent in ("1", "5", "10")},
    # of the four in this order, wrong ones up to a coverage: 0, then up to 1 at 1/2, 1 at 3/4, 2 at 1
    ("solution_aurc", "all", "min"): np.mean([max(min(4 * c - 1, 1), 4 * c - 2, 0) / (4 * c) for c in HUNDREDTHS]),
    # right ones at 0.9 0.9 0.8 0.6 0.4, a wrong one at 0.35, a right one at 0.3, a wrong one at 0.2
    ("step_auprc", "all", ""): 5 / 6 + 1 / 6 * 6 / 7,
    **{("step_recall_at_fpr_" + percent, "all", ""): 5 / 6 for percent in ("1", "5", "10")},
    # right 0.01 + 0.16 + 0.36 + 0.01 + 0.49 + 0.04, wrong 0.04 + 0.1225
    ("brier", "all", "steps"): 1.2325 / 8,
}


def test_localization_by_hand():
    found = measured(localization, HAND, SCORES, lengths=[30, 20, 20, 10])
    assert {key: value(found, *key) for key in found} == {key: pytest.approx(v) for key, v in BY_HAND.items()}
    sizes = {key[0]: number.n for key, number in found.items()}
    assert (sizes["first_error_accuracy"], sizes["all_right_accuracy"], sizes["f1"]) == (2, 2, 4)
    assert (sizes["lowest_is_last"], sizes["right_answer_found"], sizes["step_auroc"]) == (3, 1, 8)


def test_splits_by_hand():
    """A split with F1 1/2 of 4 rows (see above), and one of 2 rows with both found: macro 3/4, weighted 4/6.

    The threshold of the second, which is the lowest with F1 1, is 0.7: at 0.7, a is called wrong at its second step, b
    at its first, c is called wrong and d is right, so first_error_accuracy is 0 and F1 is 0.
    """
    first = [replace(truth, split="w") for truth in HAND]
    more = [StepTruth("e", "t", "x", (T, F)), StepTruth("f", "u", "x", (T,))]
    found = measured(localization, [*first, *more], SCORES | {"e": (0.7, 0.4), "f": (0.9,)}, threshold_split="x")
    assert [value(found, "f1", split, "fixed 0.5") for split in ("x", "macro", "weighted")] == [1, 3 / 4, 4 / 6]
    assert [value(found, "f1", split, "chosen on x") for split in ("x", "macro", "weighted")] == [1, 1 / 2, 2 / 6]
    accuracy = [value(found, "first_error_accuracy", split, "fixed 0.5") for split in ("macro", "weighted")]
    assert accuracy == [3 / 4, pytest.approx(2 / 3)]  # weighted by rows with an error: (1 + 1) of (2 + 1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.625])
def test_a_fixed_threshold_in_each_draw(seed, threshold):
    truths, scores = made(seed)
    found = measured(localization, truths, scores, thresholds={"A": threshold})
    for split in "ab":
        numbers = [
            found[name, split, f"fixed {threshold:g}"].drawn
            for name in ("first_error_accuracy", "all_right_accuracy", "f1")
        ]
        for draw, rows in enumerate(drawn(truths)):
            own = [truths[i] for i in rows if truths[i].split == split]
            assert [number[draw] for number in numbers] == pytest.approx(naive(own, scores, threshold), nan_ok=True)


@pytest.mark.parametrize("seed", range(3))
def test_the_oracle_is_the_best_of_all_thresholds_in_each_draw(seed):
    truths, scores = made(seed)
    found = measured(localization, truths, scores)
    grid = np.linspace(-1 / 16, 17 / 16, 19)  # below, between and above all scores
    for split in "ab":
        for draw, rows in enumerate(drawn(truths)):
            own = [truths[i] for i in rows if truths[i].split == split]
            best = max(naive(own, scores, threshold)[2] for threshold in grid)
            assert found["f1", split, "oracle"].drawn[draw] == pytest.approx(best)
            chosen = [
                found[name, split, "oracle"].drawn[draw] for name in ("first_error_accuracy", "all_right_accuracy")
            ]
            assert chosen == pytest.approx(naive(own, scores, best_threshold(own, scores))[:2])


@pytest.mark.parametrize("chosen_on", [None, "b"])
def test_a_threshold_is_chosen_anew_in_each_draw(chosen_on):
    truths, scores = made(4)
    found = measured(localization, truths, scores, threshold_split=chosen_on)
    chosen_on, thresholds = chosen_on or "a", set()
    for draw, rows in enumerate(drawn(truths)):
        threshold = best_threshold([truths[i] for i in rows if truths[i].split == chosen_on], scores)
        thresholds.add(threshold)
        for split in "ab":
            own = [truths[i] for i in rows if truths[i].split == split]
            assert found["f1", split, f"chosen on {chosen_on}"].drawn[draw] == pytest.approx(
                naive(own, scores, threshold)[2]
            )
    assert len(thresholds) > 1


def test_a_split_that_is_not_there():
    truths, scores = made(0)
    with pytest.raises(InputError, match="no split 'c' to choose the threshold on") as caught:
        measured(localization, truths, scores, threshold_split="c")
    assert caught.value.hint == "choose from a, b"


@pytest.mark.parametrize("seed", range(2))
def test_the_other_numbers_in_each_draw(seed):
    truths, scores = made(seed, splits=("all",))
    lengths = np.random.default_rng(seed).integers(10, 30, len(truths))
    found = measured(localization, truths, scores, lengths)
    lowest = np.array([min(scores[t.chain_id]) for t in truths])
    wrong = np.array([t.first_error is not None for t in truths])
    ranks = [rankdata(values) for values in (lengths, lowest)]
    for draw, rows in enumerate(drawn(truths)):
        expected = {
            ("solution_auroc", "min"): auroc_of_pairs(~wrong[rows], lowest[rows]),
            ("mcc", "fixed 0.5"): np.corrcoef(wrong[rows], lowest[rows] < 0.5)[0, 1],
            ("length_correlation", "min"): np.corrcoef(ranks[0][rows], ranks[1][rows])[0, 1],
        }
        for (name, variant), number in expected.items():
            assert found[name, "all", variant].drawn[draw] == pytest.approx(number)
    assert found["length_correlation", "all", "min"].drawn[0] == pytest.approx(spearmanr(lengths, lowest).statistic)


def shares(truths, scores):
    """1, 0 or None, as the docstring of `_extras` says, one a chain."""
    for truth in truths:
        own, error = list(scores[truth.chain_id]), truth.first_error
        place, called = own.index(min(own)), first_below(own, 0.5)
        is_slip = error is not None and truth.is_answer_right is True
        yield {
            "lowest_step_accuracy": None if error is None else place == error,
            "lowest_is_last": None if len(own) < 2 else place == len(own) - 1,
            "right_answer_found": called is not None if is_slip else None,
            "right_answer_first_error": called == error if is_slip else None,
        }


@pytest.mark.parametrize("seed", range(2))
def test_shares_in_each_draw(seed):
    truths, scores = made(seed)
    found, by_row = measured(localization, truths, scores), list(shares(truths, scores))
    for name in by_row[0]:
        number = found[name, "all", "fixed 0.5" if name.startswith("right") else ""]
        for draw, rows in enumerate(drawn(truths)):
            own = [by_row[i][name] for i in rows if by_row[i][name] is not None]
            assert number.drawn[draw] == pytest.approx(np.mean(own))
        assert number.n == sum(row[name] is not None for row in by_row)


@pytest.mark.parametrize("measure", [localization, classification])
@pytest.mark.parametrize("seed", range(2))
def test_numbers_of_steps_in_each_draw(measure, seed):
    """With tenths, which are the ends of the bins of the calibration error."""
    truths, scores = made(seed, steps=10, is_judged=measure is classification)
    found, steps = measured(measure, truths, scores), steps_of(truths, scores)
    values, labels = np.array([s for _, _, s, _ in steps]), np.array([r for *_, r in steps])
    places, splits = [place for _, place, _, _ in steps], np.array([truths[row].split for row, *_ in steps])
    for draw, weights in enumerate(weights_of(truths, steps)):
        rows = np.repeat(np.arange(len(steps)), weights)
        within = grouped_auroc((places[i], values[i], bool(labels[i])) for i in rows)
        expected = {
            ("step_auroc", "all", ""): auroc_of_pairs(labels, values, weights),
            ("step_auroc", "b", ""): auroc_of_pairs(labels, values, weights * (splits == "b")),
            ("step_auroc_within_position", "all", ""): within,
            ("brier", "all", "steps"): np.average((values - labels) ** 2, weights=weights),
            ("ece", "all", "steps"): expected_calibration_error(values[rows], labels[rows]),
        }
        assert {key: found[key].drawn[draw] for key in expected} == {k: pytest.approx(v) for k, v in expected.items()}


def test_calibration_is_of_probabilities_alone():
    truths, scores = made(0)
    found = measured(localization, truths, {i: [2 * s for s in own] for i, own in scores.items()})
    assert not {"ece", "brier"} & {name for name, _, _ in found}


def test_classification_by_hand():
    """Called right are 0.9 0.6 0.8 of the right steps 0.9 0.6 0.4 0.8, and 0.7 of the wrong steps 0.7 0.1 0.2.

    F1 of right steps 2·3 / (4 + 4) = 3/4, of wrong ones 2·2 / (3 + 3) = 2/3, PRMScore 17/24. The oracle has 0.4 as its
    threshold: 2·4 / (5 + 4) = 8/9 and 2·2 / (2 + 3) = 4/5, and their mean 38/45. The second split has right steps alone
    and F1 2·1 / (1 + 2): its PRMScore.
    """
    truths = [
        StepTruth("a", "p", "x", (T, F, T, N)),
        StepTruth("b", "q", "x", (F, F, T, T)),
        StepTruth("c", "r", "multi_solutions", (T, T)),
    ]
    scores = {"a": (0.9, 0.7, 0.6, 0.5), "b": (0.1, 0.2, 0.4, 0.8), "c": (0.7, 0.3)}
    found = measured(classification, truths, scores)
    for mode, expected in {"fixed 0.5": (3 / 4, 2 / 3, 17 / 24), "oracle": (8 / 9, 4 / 5, 38 / 45)}.items():
        names = ("f1", "f1_wrong", "prmscore")
        assert [value(found, name, "x", mode) for name in names] == [pytest.approx(v) for v in expected]
    assert value(found, "f1", "multi_solutions", "fixed 0.5") == pytest.approx(2 / 3)
    assert value(found, "prmscore", "multi_solutions", "fixed 0.5") == pytest.approx(2 / 3)
    assert value(found, "f1_wrong", "multi_solutions", "fixed 0.5") is None
    # All together: 4 of 6 right ones are called right, and one wrong one; 2 of 3 wrong ones are called wrong of 4.
    assert value(found, "prmscore", "all", "fixed 0.5") == pytest.approx((8 / 11 + 4 / 7) / 2)


@pytest.mark.parametrize("seed", range(2))
def test_classification_in_each_draw(seed):
    truths, scores = made(seed, is_judged=True)
    found, steps = measured(classification, truths, scores), steps_of(truths, scores)
    values, labels = np.array([s for _, _, s, _ in steps]), np.array([r for *_, r in steps])
    grid = [*sorted(set(values)), math.inf]
    for draw, weights in enumerate(weights_of(truths, steps)):
        fixed = f1s(labels, values >= 0.5, weights)
        expected = {"f1": fixed[0], "f1_wrong": fixed[1], "prmscore": np.mean(fixed)}
        assert {name: found[name, "all", "fixed 0.5"].drawn[draw] for name in expected} == {
            name: pytest.approx(number) for name, number in expected.items()
        }
        best = max(np.mean(f1s(labels, values >= threshold, weights)) for threshold in grid)
        assert found["prmscore", "all", "oracle"].drawn[draw] == pytest.approx(best)


def test_the_oracle_of_many_scores_is_an_upper_bound_and_near_the_best():
    """More different scores than it tries: it may miss the best by little, and never falls below the fixed one."""
    truths, scores = made(5, count=300, splits=("all",), steps=10**9, is_judged=True)
    found = measured(classification, truths, scores)
    assert (found["prmscore", "all", "oracle"].drawn >= found["prmscore", "all", "fixed 0.5"].drawn).all()
    steps = steps_of(truths, scores)
    values, labels = np.array([s for _, _, s, _ in steps]), np.array([r for *_, r in steps])
    best = max(np.mean(f1s(labels, values >= t)) for t in values[:300])
    assert found["prmscore", "all", "oracle"].drawn[0] >= best - 0.01


def test_the_oracle_tries_the_fixed_threshold_too():
    """Steps with thousandths from 503 on are right; of 1,000 scores it would try every fifth alone."""
    truths = [StepTruth("a", "p", "all", tuple(i >= 503 for i in range(1000)))]
    found = measured(classification, truths, {"a": [i / 1000 for i in range(1000)]}, thresholds={"A": 0.503})
    assert value(found, "prmscore", "all", "fixed 0.503") == value(found, "prmscore", "all", "oracle") == 1.0


def test_the_oracle_may_call_all_steps_wrong():
    """Right 0.5, wrong 0.5 five times: called right, F1 2/7 and 0; called wrong, 0 and 10/11."""
    truths = [StepTruth("a", "p", "all", (T, F, F, F, F, F))]
    found = measured(classification, truths, {"a": (0.5,) * 6})
    assert value(found, "prmscore", "all", "fixed 0.5") == pytest.approx(1 / 7)
    assert value(found, "prmscore", "all", "oracle") == pytest.approx(5 / 11)


def test_prmscore_is_one_measure_in_all_draws():
    """One problem of three has wrong steps: a draw without it has no PRMScore, and is not taken for a perfect one."""
    truths = [StepTruth("a", "p", "all", (T, F)), StepTruth("b", "q", "all", (T,)), StepTruth("c", "r", "all", (T,))]
    number = measured(classification, truths, {"a": (0.9, 0.9), "b": (0.9,), "c": (0.9,)})[
        "prmscore", "all", "fixed 0.5"
    ]
    lacks = [0 not in rows for rows in drawn(truths)]
    assert any(lacks)
    assert np.isnan(number.drawn).tolist() == lacks
    assert number.metric().high < 0.5


def orders(count, seed=9):
    return np.random.default_rng(seed).permutation(count)


@pytest.mark.parametrize("measure", [localization, classification])
def test_the_order_of_rows_changes_no_value(measure):
    truths, scores = made(6, is_judged=measure is classification)
    lengths, order = list(range(len(truths))), orders(len(truths))
    one = measured(measure, truths, scores, lengths, threshold_split="a")
    two = measured(
        measure, [truths[i] for i in order], dict(reversed(scores.items())), order.tolist(), threshold_split="a"
    )
    assert {key: n.metric().value for key, n in two.items()} == {
        key: pytest.approx(n.metric().value) for key, n in one.items()
    }
    assert {key: n.n for key, n in two.items()} == {key: n.n for key, n in one.items()}


@pytest.mark.parametrize("measure", [localization, classification])
def test_a_constant_and_its_threshold_change_nothing(measure):
    """Eighths stay exact. Calibration is left out where scores are no probabilities."""
    truths, scores = made(7, is_judged=measure is classification)
    one = measured(measure, truths, scores)
    two = measured(measure, truths, {i: [s + 4 for s in own] for i, own in scores.items()}, thresholds={"A": 4.5})
    for (name, split, variant), number in two.items():
        same = one[name, split, variant.replace("4.5", "0.5")]
        assert np.array_equal(number.drawn, same.drawn, equal_nan=True)
    assert {name for name, _, _ in one} - {name for name, _, _ in two} == {"ece", "brier"}


def test_a_seed_repeats_its_intervals():
    truths, scores = made(8)
    one, two, three = (
        measured(localization, truths, scores, seed=seed)["f1", "macro", "fixed 0.5"] for seed in (1, 1, 2)
    )
    assert one.metric() == two.metric()
    assert one.metric().low != three.metric().low


def test_a_scorer_is_no_better_than_itself():
    truths, scores = made(9)
    tables = {"A": table(scores), "B": table(scores)}
    findings = localization(truths, [1] * len(truths), tables, EvalSettings(draws=DRAWS))
    assert findings.differences
    assert {(d.a, d.b, d.value, d.low, d.high) for d in findings.differences} == {("B", "A", 0.0, 0.0, 0.0)}


def test_each_scorer_has_its_own_threshold_and_they_are_compared():
    """The same scores, moved by 1/4 as its threshold: no difference, though the variants have other names."""
    truths, scores = made(9)
    tables = {"A": table(scores), "B": table({i: [s - 0.25 for s in own] for i, own in scores.items()})}
    findings = localization(truths, [1] * len(truths), tables, EvalSettings({"B": 0.25}, draws=DRAWS))
    assert findings.settings["threshold"] == {"A": 0.5, "B": 0.25}
    own = {(n.scorer, n.variant) for n in findings.numbers if findings.headline(n)}
    assert own == {("A", "fixed 0.5"), ("B", "fixed 0.25")}
    found = {(d.name, d.split, d.variant): d for d in findings.differences}
    difference = found["f1", "macro", ""]
    assert (difference.a, difference.b, difference.value, difference.low, difference.high) == ("B", "A", 0, 0, 0)


def test_a_difference_is_of_the_same_rows_in_each_draw():
    truths, scores = made(10)
    worse = {i: [0.25 for _ in own] for i, own in scores.items()}
    findings = localization(
        truths, [1] * len(truths), {"A": table(scores), "B": table(worse)}, EvalSettings(draws=DRAWS)
    )
    by_key = {(n.scorer, n.name, n.split, n.variant): n for n in findings.numbers}
    (found,) = (d for d in findings.differences if (d.name, d.split, d.variant) == ("solution_auroc", "all", "min"))
    a, b = (by_key[name, "solution_auroc", "all", "min"].drawn for name in "AB")
    assert (found.a, found.b, found.value) == ("B", "A", b[0] - a[0])
    assert (found.low, found.high) == tuple(np.percentile((b - a)[1:], [2.5, 97.5]))


def test_a_difference_is_the_later_scorer_minus_the_earlier():
    """The second one is wrong wherever the first is right."""
    tables = {"A": table(SCORES), "B": table({i: [1 - s for s in own] for i, own in SCORES.items()})}
    findings = localization(HAND, [1] * 4, tables, EvalSettings(draws=DRAWS))
    (found,) = (d for d in findings.differences if d.name == "step_auroc")
    assert (found.a, found.b) == ("B", "A")
    assert found.value == pytest.approx(1 / 12 - 11 / 12)
    assert found.low <= found.value <= found.high < 0


ENDS = {  # truths and scores; (name, split, variant) to the value
    "one right row": (
        [StepTruth("a", "p", "x", (T, T))],
        {"a": (0.9, 0.8)},
        {("all_right_accuracy", "all", "fixed 0.5"): 1.0, ("first_error_accuracy", "all", "fixed 0.5"): None,
         ("f1", "all", "fixed 0.5"): None, ("solution_auroc", "all", "min"): None, ("step_auroc", "all", ""): None,
         ("mcc", "all", "fixed 0.5"): None, ("length_correlation", "all", "min"): None,
         ("lowest_step_accuracy", "all", ""): None, ("right_answer_found", "all", "fixed 0.5"): None},
    ),
    "one wrong row": (
        [StepTruth("a", "p", "x", (F, N), T)],
        {"a": (0.7, 0.8)},
        {("first_error_accuracy", "all", "fixed 0.5"): 0.0, ("all_right_accuracy", "all", "fixed 0.5"): None,
         ("first_error_accuracy", "all", "oracle"): 1.0, ("f1", "all", "oracle"): None,
         ("right_answer_found", "all", "fixed 0.5"): 0.0, ("lowest_is_last", "all", ""): 0.0},
    ),
    "a split without a right row": (
        [StepTruth("a", "p", "x", (T, F)), StepTruth("b", "q", "y", (T, F)), StepTruth("c", "r", "y", (T,))],
        {"a": (0.9, 0.1), "b": (0.9, 0.1), "c": (0.9,)},
        {("f1", "x", "fixed 0.5"): None, ("f1", "y", "fixed 0.5"): 1.0, ("f1", "macro", "fixed 0.5"): None,
         ("f1", "weighted", "fixed 0.5"): None, ("first_error_accuracy", "macro", "fixed 0.5"): 1.0,
         ("all_right_accuracy", "macro", "fixed 0.5"): None, ("all_right_accuracy", "weighted", "fixed 0.5"): 1.0},
    ),
    "all scores equal": (
        [StepTruth("a", "p", "x", (T, F)), StepTruth("b", "q", "x", (T, T)), StepTruth("c", "r", "x", (F, N))],
        {"a": (0.5, 0.5), "b": (0.5, 0.5), "c": (0.5, 0.5)},
        {("f1", "all", "fixed 0.5"): 0.0, ("f1", "all", "oracle"): 0.0, ("all_right_accuracy", "all", "fixed 0.5"): 1.0,
         ("solution_auroc", "all", "min"): 0.5, ("step_auroc", "all", ""): 0.5, ("mcc", "all", "fixed 0.5"): 0.0,
         ("length_correlation", "all", "min"): None, ("lowest_is_last", "all", ""): 0.0,
         ("lowest_step_accuracy", "all", ""): 0.5},  # the first of equals
    ),
    "chains without steps": (
        [StepTruth("a", "p", "x", ()), StepTruth("b", "q", "x", (F,)), StepTruth("c", "r", "x", (T,))],
        {"a": (), "b": (0.2,), "c": (0.1,)},
        {("all_right_accuracy", "all", "fixed 0.5"): 0.5, ("f1", "all", "fixed 0.5"): pytest.approx(2 / 3),
         ("f1", "all", "oracle"): pytest.approx(2 / 3), ("solution_auroc", "all", "min"): 0.5},
    ),
    "only chains without steps": (
        [StepTruth("a", "p", "x", ())],
        {"a": ()},
        {("all_right_accuracy", "all", "fixed 0.5"): 1.0, ("step_auroc", "all", ""): None,
         ("step_auroc_within_position", "all", ""): None},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("truths", "scores", "expected"), ENDS.values(), ids=ENDS)
def test_localization_at_its_ends(truths, scores, expected):
    found = measured(localization, truths, scores)
    assert {key: value(found, *key) for key in expected} == expected


@pytest.mark.parametrize(
    ("steps", "scores", "expected"),
    [
        ((T,), (0.9,), (1.0, None, 1.0)),
        ((T,), (0.1,), (0.0, None, 0.0)),
        ((F,), (0.1,), (None, 1.0, None)),
        ((N, N), (0.1, 0.2), (None, None, None)),
        ((), (), (None, None, None)),
    ],
)
def test_classification_at_its_ends(steps, scores, expected):
    found = measured(classification, [StepTruth("a", "p", "x", steps)], {"a": scores})
    for mode in ("fixed 0.5",):
        assert tuple(value(found, name, "all", mode) for name in ("f1", "f1_wrong", "prmscore")) == expected


def test_the_headline_is_the_first_error_where_every_chain_has_one():
    """As in MathCheck, which has no F1."""
    truths, scores = [StepTruth("a", "p", "x", (T, F)), StepTruth("b", "q", "x", (F,))], {"a": (0.9, 0.1), "b": (0.9,)}
    findings = localization(truths, [1, 1], {"A": table(scores)}, EvalSettings(draws=DRAWS))
    (own,) = (n.metric() for n in findings.numbers if findings.headline(n))
    assert (own.name, own.split, own.value) == ("first_error_accuracy", "all", 0.5)


def test_pictures():
    findings = localization(HAND, [30, 20, 20, 10], {"A": table(SCORES)}, EvalSettings(draws=DRAWS))
    reliability, lengths = findings.pictures
    assert [b.count for b in reliability.bins] == [0, 1, 1, 2, 0, 1, 0, 1, 2, 0]
    assert lengths.points == ((30, 0.2, False), (20, 0.35, False), (20, 0.3, True), (10, 0.8, True))
    assert findings.counts == {"chains with an error": 2}

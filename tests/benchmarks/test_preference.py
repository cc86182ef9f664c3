"""Preference suites: by hand, and against plain loops over pairs in the way of each suite's own program."""

import math
from collections import defaultdict

import numpy as np
import pytest
from scipy.stats import spearmanr

from prm.benchmarks.numbers import EvalSettings
from prm.benchmarks.protocols.preference import preference
from prm.benchmarks.protocols.ties import ties_score
from prm.benchmarks.scores import table_of
from prm.benchmarks.suites.preference import REWARDBENCH_SECTIONS
from prm.benchmarks.suites.truth import Comparison
from prm.data.records import StepScores
from prm.errors import InputError
from prm.statistics.aggregation import AGGREGATORS, aggregate
from prm.statistics.bootstrap import resample

DRAWS = 60


def compared(identity, better, worse, split="x", section="", problem=None, weight=1.0):
    """A comparison of so many better and worse responses; their ids count through both."""
    ids = tuple(f"{identity}/{i}" for i in range(better + worse))
    return Comparison(identity, problem or identity, split, ids[:better], ids[better:], section, weight)


def table(scores, kind="orm"):
    own = {i: s if isinstance(s, (tuple, list)) else (s,) for i, s in scores.items()}
    return table_of(StepScores(i, "p", tuple(s), kind) for i, s in own.items())


def ids_of(comparisons):
    return [i for c in comparisons for i in (*c.better, *c.worse)]


def listed(comparisons, values):
    """Values of all responses, in the order of `ids_of`."""
    return dict(zip(ids_of(comparisons), values, strict=True))


def measured(comparisons, scorers, lengths=None, rule="pairs", **settings):
    lengths = dict.fromkeys(ids_of(comparisons), 10) if lengths is None else lengths
    findings = preference(comparisons, lengths, scorers, EvalSettings(**{"draws": DRAWS} | settings), rule)
    keys = [(n.scorer, n.name, n.split, n.variant) for n in findings.numbers]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, (n.metric() for n in findings.numbers), strict=True)), findings


def value(found, name, split="all", scorer="RM", variant=""):
    return found[scorer, name, split, variant].value


def made(seed, count=60, sizes=((1, 1),), splits=("x", "y", "z"), ties=5, sections=None):
    """Two comparisons of each prompt; scores are fifths, the better ones a little higher."""
    rng, comparisons, scores, lengths = np.random.default_rng(seed), [], {}, {}
    for i in range(count):
        split = splits[i // 2 % len(splits)]
        section = (sections or {}).get(split, "")
        own = compared(f"c{i}", *sizes[i % len(sizes)], split, section, f"p{i // 2}")
        comparisons.append(own)
        for chain_id in ids_of([own]):
            scores[chain_id] = int(rng.integers(0, ties + 1) + (chain_id in own.better)) / ties
            lengths[chain_id] = int(rng.integers(80, 120))
    return comparisons, scores, lengths


def won(scores, comparison):
    """Share of the pairs won, one at a time."""
    pairs = [(scores[b], scores[w]) for b in comparison.better for w in comparison.worse]
    return sum((b > w) + (b == w) / 2 for b, w in pairs) / len(pairs)


def test_pairs_by_hand():
    """Won, lost, a tie, and of two better and one worse one of two pairs: 1, 0, 1/2, 1/2.

    By split 1/2 and 1/2; lengths 10 and 11 differ by less than a tenth of the longer, in a and b alone; one tie of five
    pairs stands in one of four comparisons.
    """
    comparisons = [compared("a", 1, 1), compared("b", 1, 1), compared("c", 1, 1, "y"), compared("d", 2, 1, "y")]
    scores = listed(comparisons, [0.9, 0.1, 0.2, 0.3, 0.5, 0.5, 0.8, 0.1, 0.4])
    lengths = listed(comparisons, [11, 10, 10, 11, 30, 20, 40, 30, 20])
    found, findings = measured(comparisons, {"RM": table(scores)}, lengths)
    assert [value(found, "accuracy", split) for split in ("x", "y", "macro", "weighted", "all")] == [1 / 2] * 5
    assert (value(found, "accuracy_length_matched"), found["RM", "accuracy_length_matched", "all", ""].n) == (1 / 2, 2)
    assert value(found, "ties") == 1 / 4
    assert value(found, "accuracy", "all", "", "longer") == 3 / 4  # all but b
    assert value(found, "accuracy", "all", "", "shorter") == 1 / 4
    assert findings.counts == {"pairs": 5}
    assert [n.split for n in findings.numbers if findings.headline(n)] == ["all"] * 3
    assert value(found, "length_correlation") == pytest.approx(
        spearmanr([lengths[i] for i in scores], list(scores.values())).statistic
    )


@pytest.mark.parametrize("sizes", [((1, 1),), ((1, 3), (2, 2), (3, 1))])
def test_pairs_are_counted_one_at_a_time(sizes):
    comparisons, scores, lengths = made(0, sizes=sizes)
    found, _ = measured(comparisons, {"RM": table(scores)}, lengths)
    assert value(found, "accuracy") == pytest.approx(np.mean([won(scores, c) for c in comparisons]))
    by_split = {s: np.mean([won(scores, c) for c in comparisons if c.split == s]) for s in "xyz"}
    assert {s: value(found, "accuracy", s) for s in "xyz"} == {s: pytest.approx(v) for s, v in by_split.items()}
    assert value(found, "accuracy", "macro") == pytest.approx(np.mean(list(by_split.values())))
    pairs = [[(b, w) for b in c.better for w in c.worse] for c in comparisons]
    alike = [[won(scores, Comparison("", "", "", (b,), (w,))) for b, w in own
              if abs(lengths[b] - lengths[w]) <= 0.1 * max(lengths[b], lengths[w])] for own in pairs]  # fmt: skip
    assert value(found, "accuracy_length_matched") == pytest.approx(np.mean([np.mean(own) for own in alike if own]))
    assert value(found, "ties") == pytest.approx(
        np.mean([np.mean([scores[b] == scores[w] for b, w in own]) for own in pairs])
    )
    assert value(found, "accuracy", "all", "", "longer") == pytest.approx(
        np.mean([won(lengths, c) for c in comparisons])
    )


def test_each_draw_has_whole_prompts_of_each_split():
    comparisons, scores, _ = made(1)
    _, findings = measured(comparisons, {"RM": table(scores)})
    weights = resample([c.problem_id for c in comparisons], [c.split for c in comparisons], DRAWS, 0).of_rows
    own = np.array([won(scores, c) for c in comparisons])
    (number,) = (n for n in findings.numbers if (n.scorer, n.name, n.split) == ("RM", "accuracy", "all"))
    assert number.drawn == pytest.approx(weights @ own / len(own))
    (split,) = (n for n in findings.numbers if (n.scorer, n.name, n.split) == ("RM", "accuracy", "y"))
    is_y = np.array([c.split == "y" for c in comparisons])
    assert split.drawn == pytest.approx(weights[:, is_y] @ own[is_y] / is_y.sum())


def test_a_prm_is_tried_with_each_aggregator():
    comparisons, rng = made(2)[0], np.random.default_rng(2)
    steps = {i: rng.random(rng.integers(1, 5)).tolist() for i in ids_of(comparisons)}
    found, _ = measured(comparisons, {"PRM": table(steps, "prm")})
    for aggregator in AGGREGATORS:
        scores = {i: aggregate(own, aggregator) for i, own in steps.items()}
        expected = np.mean([won(scores, c) for c in comparisons])
        assert value(found, "accuracy", "all", "PRM", aggregator) == pytest.approx(expected)


def test_a_product_with_a_zero_goes_by_the_other_scores():
    own = compared("a", 1, 1)
    found, findings = measured([own], {"PRM": table({"a/0": (0.9, 0.0), "a/1": (0.0,)}, "prm")})
    assert value(found, "accuracy", "all", "PRM", "product") == 0.0
    assert value(found, "ties", "all", "PRM", "product") == 0.0
    assert all(np.isfinite(p.points).all() for p in findings.pictures if p.variant == "product")


def rewardbench(scores, comparisons):
    """Leaderboard of RewardBench: subsets by the counts of its table, and the mean of sections."""
    counts = {"math-prm": 984, "hep-python": 164}
    rows = defaultdict(list)
    for c in comparisons:
        rows[c.split].append(won(scores, c))
    sections = {}
    for section in dict.fromkeys(REWARDBENCH_SECTIONS[split] for split in rows):
        own = {s: counts.get(s, len(r)) for s, r in rows.items() if REWARDBENCH_SECTIONS[s] == section}
        sections[section] = sum(np.mean(rows[s]) * n for s, n in own.items()) / sum(own.values())
    return sections


def test_sections_of_rewardbench():
    """All rows of two subsets of Reasoning, 447 and 164; the leaderboard counts the first as 984."""
    rng, comparisons = np.random.default_rng(3), []
    for split, count, weight in (("math-prm", 447, 984 / 447), ("hep-python", 164, 1), ("donotanswer", 9, 1)):
        section = REWARDBENCH_SECTIONS[split]
        comparisons += [compared(f"{split}-{i}", 1, 1, split, section, weight=weight) for i in range(count)]
    scores = {i: rng.random() for i in ids_of(comparisons)}
    found, findings = measured(comparisons, {"RM": table(scores)}, rule="sections")
    expected = rewardbench(scores, comparisons)
    assert {s: value(found, "accuracy", s) for s in expected} == {s: pytest.approx(v) for s, v in expected.items()}
    (own,) = (n.metric() for n in findings.numbers if findings.headline(n) and n.scorer)
    assert (own.split, own.value) == ("macro", pytest.approx(np.mean(list(expected.values()))))


def test_a_section_of_one_split_with_its_name_stands_once():
    """As in RM-Bench, where chat is both, and safety has two splits."""
    sections = {"chat": "chat", "safety-refuse": "safety", "safety-response": "safety"}
    comparisons, scores, _ = made(4, splits=tuple(sections), sections=sections)
    found, findings = measured(comparisons, {"A": table(scores), "B": table(scores)})
    splits = [split for scorer, name, split, _ in found if (scorer, name) == ("A", "accuracy")]
    assert splits == ["chat", "safety-refuse", "safety-response", "safety", "macro", "weighted", "all"]
    by_section = [value(found, "accuracy", s, "A") for s in ("chat", "safety")]
    assert value(found, "accuracy", "macro", "A") == pytest.approx(np.mean(by_section))
    assert {(d.a, d.b, d.value, d.low, d.high) for d in findings.differences} == {("B", "A", 0, 0, 0)}


def rm_bench(scores, comparisons):
    """easy, normal and hard of RM-Bench: cell (i, j) is the better response of style i against the worse of style j."""
    cells = np.mean([[[(scores[b] > scores[w]) + (scores[b] == scores[w]) / 2 for w in c.worse] for b in c.better]
                     for c in comparisons], axis=0)  # fmt: skip
    return np.tril(cells, -1).sum() / 3, np.diag(cells).mean(), np.triu(cells, 1).sum() / 3


def test_styles_by_hand():
    """Concise 0.3, detailed 0.5, Markdown 0.7 against 0.2, 0.4, 0.6.

    Easy, the better one more ornate: 0.5 > 0.2, 0.7 > 0.2, 0.7 > 0.4, all won. Normal: 0.3 > 0.2, 0.5 > 0.4, 0.7 > 0.6,
    all won. Hard: 0.3 < 0.4, 0.3 < 0.6, 0.5 < 0.6, all lost.
    """
    found, _ = measured(
        [compared("a", 3, 3)],
        {"RM": table(listed([compared("a", 3, 3)], [0.3, 0.5, 0.7, 0.2, 0.4, 0.6]))},
        rule="styles",
    )
    assert [value(found, f"accuracy_{kind}") for kind in ("easy", "normal", "hard")] == [1, 1, 0]
    assert value(found, "accuracy") == pytest.approx(6 / 9)


def test_styles_are_those_of_rm_bench():
    sections = {"chat": "chat", "safety-refuse": "safety", "safety-response": "safety"}
    comparisons, scores, _ = made(5, sizes=((3, 3),), splits=tuple(sections), sections=sections, ties=50)
    found, findings = measured(comparisons, {"RM": table(scores)}, rule="styles")
    for split in sections:
        expected = rm_bench(scores, [c for c in comparisons if c.split == split])
        own = [value(found, f"accuracy_{kind}", split) for kind in ("easy", "normal", "hard")]
        assert own == pytest.approx(expected)
        assert value(found, "accuracy", split) == pytest.approx(np.mean(expected))
    assert {n.split for n in findings.numbers if findings.headline(n)} == {"macro"}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.9, 0.1, 0.2, 0.3], 1.0),
        ([0.9, 0.1, 0.2, 0.95], 0.0),
        ([0.9, 0.9, 0.2, 0.3], 1 / 2),
        ([0.9, 0.9, 0.9, 0.9], 1 / 4),
        ([0.9, 0.9, 0.9, 0.95], 0.0),
    ],
)
def test_best_of_four_by_hand(scores, expected):
    """The best place, shared with all that are as high."""
    found, _ = measured([compared("a", 1, 3)], {"RM": table(listed([compared("a", 1, 3)], scores))}, rule="best")
    assert value(found, "accuracy") == expected


def ties_by_parts(scores, comparisons):
    """The score of the subset Ties, in the way of RewardBench 2's own program, with numpy's division by 0."""
    stats = defaultdict(dict)
    for c in comparisons:
        kind, _, number = c.id.rpartition("/")[2].partition(":")
        right, wrong = [scores[i] for i in c.better], [scores[i] for i in c.worse]
        stats[kind][number] = (max(right) - min(right), min(right) - max(wrong))
    both = sorted(stats["ref"].keys() & stats["tied"].keys())
    spread = np.array([stats["tied"][number][0] for number in both])
    tied, ref = (np.array([stats[kind][number][1] for number in both]) for kind in ("tied", "ref"))
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.nan_to_num(np.tanh(np.minimum(ref, tied) / spread - 1), nan=0.0)
    shares = [np.mean([margin > 0 for _, margin in stats[kind].values()]) for kind in ("ref", "tied")]
    last = [np.mean(tied > spread), np.mean(np.minimum(ref, tied) > spread), np.mean(gap)]
    return np.dot([0.3, 0.3, 0.2, 0.2, 0.01], [*shares, *last])


def test_ties_by_hand():
    """ref: 0.9 against 0.1, margin 0.8. tied: right 0.7 and 0.6, wrong 0.2: margin 0.4, spread 0.1.

    All shares are 1, and the least margin, 0.4, is four spreads: 1 + 0.01 · tanh(3).
    """
    comparisons = [compared("t/ref:1", 1, 1, "Ties"), compared("t/tied:1", 2, 1, "Ties"), compared("a", 1, 3, "Focus")]
    scores = listed(comparisons, [0.9, 0.1, 0.7, 0.6, 0.2, 0.5, 0.1, 0.1, 0.6])
    found, findings = measured(comparisons, {"RM": table(scores)}, rule="best")
    assert value(found, "accuracy", "Ties") == pytest.approx(1 + 0.01 * math.tanh(3))
    assert value(found, "accuracy", "Focus") == 0.0
    assert value(found, "accuracy", "macro") == pytest.approx((1 + 0.01 * math.tanh(3)) / 2)
    assert {n.split for n in findings.numbers if findings.headline(n)} == {"macro"}


@pytest.mark.parametrize("ties", [3, 100])
def test_ties_are_those_of_rewardbench_2(ties):
    """With few different scores many spreads are 0; one prompt has no ref, one no tied."""
    rng = np.random.default_rng(ties)
    comparisons = [compared(f"Ties/ref:{i}", 1, 3, "Ties") for i in range(1, 30)]
    comparisons += [compared(f"Ties/tied:{i}", 3, 3, "Ties") for i in range(29)]
    scores = {
        i: int(rng.integers(0, ties)) / ties + (i.endswith(("/0", "/1", "/2")) * 0.5) for i in ids_of(comparisons)
    }
    resampling = resample([c.problem_id for c in comparisons], ["Ties"] * len(comparisons), 0)
    assert ties_score(scores, comparisons, resampling)[0] == pytest.approx(ties_by_parts(scores, comparisons))


def test_ties_without_their_partners_have_no_score():
    comparisons = [compared("Ties/ref:1", 1, 3, "Ties"), compared("a", 1, 3, "Focus")]
    found, _ = measured(comparisons, {"RM": table(dict.fromkeys(ids_of(comparisons), 0.5))}, rule="best")
    assert value(found, "accuracy", "Ties") is None
    assert value(found, "accuracy", "Focus") == 1 / 4


@pytest.mark.parametrize("rule", ["pairs", "best", "styles", "sections"])
def test_one_comparison(rule):
    own = compared("a", 3, 3) if rule == "styles" else compared("a", 1, 3)
    found, findings = measured([own], {"RM": table(dict.fromkeys(ids_of([own]), 0.5))}, rule=rule)
    number = found["RM", "accuracy", "all", ""]
    assert (number.value, number.low, number.high, number.n) == ((1 / 4 if rule == "best" else 1 / 2,) * 3 + (1,))
    assert value(found, "ties") == 1.0
    assert value(found, "length_correlation") is None
    assert [n.split for n in findings.numbers if findings.headline(n)] == ["all"] * 3


def test_no_pair_of_like_lengths():
    own = compared("a", 1, 1)
    found, _ = measured([own], {"RM": table({"a/0": 1.0, "a/1": 0.0})}, {"a/0": 100, "a/1": 89})
    assert value(found, "accuracy_length_matched") is None
    found, _ = measured([own], {"RM": table({"a/0": 1.0, "a/1": 0.0})}, {"a/0": 100, "a/1": 90})
    assert value(found, "accuracy_length_matched") == 1.0


@pytest.mark.parametrize("rule", ["pairs", "best", "styles"])
def test_the_order_of_comparisons_changes_no_value(rule):
    comparisons, scores, lengths = made(6, sizes=((3, 3),) if rule == "styles" else ((1, 3),))
    order = np.random.default_rng(0).permutation(len(comparisons))
    one, _ = measured(comparisons, {"RM": table(scores)}, lengths, rule)
    two, _ = measured([comparisons[i] for i in order], {"RM": table(scores)}, lengths, rule)
    assert {key: m.value for key, m in two.items()} == {key: pytest.approx(m.value) for key, m in one.items()}


@pytest.mark.parametrize("rule", ["pairs", "best", "styles"])
def test_a_constant_changes_nothing(rule):
    comparisons, scores, lengths = made(7, sizes=((3, 3),) if rule == "styles" else ((1, 3),), ties=4)
    one, _ = measured(comparisons, {"RM": table(scores)}, lengths, rule)
    two, _ = measured(comparisons, {"RM": table({i: s - 8 for i, s in scores.items()})}, lengths, rule)
    assert one == two


def test_differences_are_of_scorers_with_one_aggregator():
    comparisons, scores, _ = made(8)
    worse = {i: -s for i, s in scores.items()}
    found, findings = measured(comparisons, {"A": table(scores), "B": table(worse)})
    by_key = {(d.a, d.b, d.name, d.split): d for d in findings.differences}
    difference = by_key["B", "A", "accuracy", "all"]
    assert difference.value == value(found, "accuracy", "all", "B") - value(found, "accuracy", "all", "A")
    assert difference.low < difference.value < difference.high
    assert {(d.a, d.b) for d in findings.differences} == {("B", "A")}


def test_margins_are_drawn():
    comparisons = [compared("a", 1, 1), compared("b", 1, 2)]
    _, findings = measured(comparisons, {"RM": table(listed(comparisons, [0.9, 0.1, 0.2, 0.3, 0.2]))})
    margins, lengths = findings.pictures
    assert (margins.kind, sum(b.count for b in margins.bins)) == ("margins", 3)
    assert (margins.bins[0].low, margins.bins[-1].high) == (pytest.approx(-0.1), pytest.approx(0.8))
    assert [right for _, _, right in lengths.points] == [True, False, True, False, False]


def test_a_prm_is_compared_with_an_orm():
    """Each aggregator with the reward: on the suite's own number, as both are called there."""
    comparisons = [compared(f"c{i}", 1, 1) for i in range(4)]
    steps = table(listed(comparisons, [(0.9, 0.8), (0.5, 0.1)] * 4), kind="prm")
    _, findings = measured(comparisons, {"ORM": table(listed(comparisons, [1, 2] * 4)), "PRM": steps})
    (found,) = (d for d in findings.differences if (d.a, d.b) == ("PRM min", "ORM"))
    assert (found.name, found.value, found.low, found.high) == ("accuracy", 1, 1, 1)
    assert ("PRM mean", "PRM min") in {(d.a, d.b) for d in findings.differences}


def test_a_scorer_cannot_be_called_as_a_baseline():
    comparisons = [compared("c", 1, 1)]
    with pytest.raises(InputError, match="would be called 'longer'"):
        measured(comparisons, {"longer": table(listed(comparisons, [1, 2]))})

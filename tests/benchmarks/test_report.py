"""The contents of the page, and their safety; `test_report_browser.py` tests how the page behaves."""

import base64
import csv
import functools
import hashlib
import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import made_results
import pytest

from prm import evaluate
from prm.benchmarks.report import charts
from prm.benchmarks.report.browse import chosen_evenly, make_browser
from prm.benchmarks.report.drawing import SERIES, Canvas, draw
from prm.benchmarks.report.job import leaderboard, report
from prm.benchmarks.report.page import make_page
from prm.benchmarks.report.sections import colors_of, sections
from prm.benchmarks.results import Curve, Difference, Metric, Picture, Point, Result, ShownChain, shown_path
from prm.errors import InputError, PrmError

RESULTS = made_results.make_results()


def result(**changes):
    """A small result."""
    metric = Metric("PRM", "f1", "all", "fixed 0.5", 0.5, 0.4, 0.6, 10)
    plain = Result("suite", "localization", {"seed": 0}, {"rows": 10}, {}, ("PRM",), (metric,), (metric,))
    return replace(plain, **changes)


def chain(identity="c", problem_id="p", **changes):
    plain = ShownChain(
        problem_id, "1 + 1?", "2", identity, "all", ("a", "b"), (True, False), False, {"PRM": (0.9, 0.1)}
    )
    return replace(plain, **changes)


@functools.cache
def section(file):
    (found,) = sections({file: RESULTS[file]})
    return found


@functools.cache
def whole_page():
    return make_page(RESULTS, {}).html


def by_id(found, end):
    (part,) = (p for p in found.parts if p.id.endswith(end))
    return part


# ---- contents of a result


def test_empty_sections_are_omitted():
    (found,) = sections({"r.json": result()})
    assert (found.parts, found.differences, found.variants, found.all_differences.rows) == ((), None, None, ())
    (row,) = found.headline.rows
    assert (row.value, row.interval) == ("50.0", "40.0 to 60.0")


def test_an_undefined_headline_number_is_a_dash_without_a_plot():
    metric = Metric("PRM", "f1", "all", "", None)
    (row,) = sections({"r.json": result(headline=(metric,))})[0].headline.rows
    assert (row.value, row.interval, row.span) == ("-", "", None)


def test_rows_are_sorted_and_lie_on_one_axis():
    rows = [Metric("A", "f1", "all", "", 0.2, 0.1, 0.3), Metric("B", "f1", "all", "", 0.8, 0.7, 0.9)]
    plot = sections({"r.json": result(headline=tuple(rows), scorers=("A", "B"))})[0].headline
    assert [row.name for row in plot.rows] == ["B", "A"]
    two, one = (row.span for row in plot.rows)
    assert one.low < one.value < one.high < two.low < two.value < two.high
    assert (round(one.low), round(two.high)) == (4, 96)  # a margin of 4% on each side, of an axis 108% as long
    ticks = {text: at for at, text in plot.axis.ticks}
    assert list(ticks) == ["20", "40", "60", "80"]
    assert (ticks["20"], ticks["80"]) == (one.value, two.value)


def test_a_lower_calibration_error_is_first():
    rows = [Metric(name, "ece", "all", "", value) for name, value in (("A", 0.3), ("B", 0.1), ("C", 0.2))]
    plot = sections({"r.json": result(headline=tuple(rows), scorers=("A", "B", "C"))})[0].headline
    assert [row.name for row in plot.rows] == ["B", "C", "A"]


def test_each_scorer_is_shown_in_its_best_variant_and_the_others_on_demand():
    found = section("math.json")
    shown = [(row.name, row.detail) for row in found.headline.rows]
    assert shown[0] == ("oracle", "")
    scorers = [row for row in shown if row[0] in (*made_results.PRMS, made_results.ORM)]
    assert len(scorers) == len(dict(scorers)) == 3
    headline = RESULTS["math.json"].headline
    for name, detail in scorers:
        own = {m.variant: m.value for m in headline if m.scorer == name}
        assert own[detail] == max(own.values())
    assert len(found.variants.rows) == len(headline)
    assert "flatters" in found.choice


def test_of_twenty_scorers_the_ten_best_are_shown_and_all_on_demand():
    rows = tuple(Metric(f"S{i}", "f1", "all", "", i / 20, i / 20, i / 20, 99) for i in range(20))
    own = result(headline=rows, scorers=tuple(f"S{i}" for i in range(20)))
    (found,) = sections({"r.json": own})
    assert [row.name for row in found.headline.rows] == [f"S{i}" for i in range(19, 9, -1)]
    assert len(found.variants.rows) == 20
    assert found.choice == "The 10 best scorers."
    assert len({row.color for row in found.variants.rows}) == 20


def test_a_variant_that_all_scorers_share_is_named_once():
    rows = tuple(Metric(s, "f1", "all", "fixed 0.5", v) for s, v in (("A", 0.2), ("B", 0.8)))
    (found,) = sections({"r.json": result(headline=rows, scorers=("A", "B"))})
    assert found.headline_title == "F1, % (fixed 0.5)"
    assert {row.detail for row in found.headline.rows} == {""}


def test_few_problems_are_warned_of():
    (few,) = sections({"r.json": result(data={"problems": 2, "chains": 4})})
    (many,) = sections({"r.json": result(data={"problems": 30, "chains": 60, "dropped": {"no score": 3}})})
    assert few.warning.startswith("Only 2 problems:")
    assert (many.warning, many.size) == ("", "30 problems, 60 chains, 3 dropped")


def test_protocol_counts_and_dropped_rows_are_listed():
    own = result(settings={"threshold": {"PRM": 0.5}, "ks": [1, 2]}, data={"rows": 1234, "dropped": {"no score": 3}})
    (found,) = sections({"r.json": own})
    assert found.facts == (("convention", "exact"), ("threshold", "PRM 0.5"), ("ks", "1 2"))
    assert found.counts == (("rows", "1,234"),)
    assert found.dropped == (("no score", "3"),)


def test_a_difference_names_the_higher_side_only_if_its_interval_excludes_zero():
    ends = {"B is higher": (-0.3, -0.1), "open": (-0.1, 0.2), "A is higher": (0.1, 0.3)}
    rows = [Difference("A", "B", "f1", "all", "fixed 0.5", sum(e) / 2, *e) for e in ends.values()]
    (found,) = sections({"r.json": result(differences=tuple(rows))})
    assert [row[-1] for row in found.all_differences.rows] == list(ends)
    assert found.all_differences.rows[0][4:6] == ("\u221220.0", "\u221230.0 to \u221210.0")


def test_the_forest_plot_compares_all_with_the_best_scorer():
    rows = tuple(Metric(s, "f1", "all", "", v) for s, v in (("A", 0.2), ("B", 0.8), ("C", 0.5)))
    pairs = (
        Difference("B", "A", "f1", "all", "", 0.6, 0.5, 0.7),
        Difference("C", "A", "f1", "all", "", 0.3, 0.2, 0.4),
        Difference("C", "B", "f1", "all", "", -0.3, -0.7, 0.1),
        Difference("C", "B", "f1", "other split", "", -0.9, -1.0, -0.8),
    )
    (found,) = sections({"r.json": result(headline=rows, scorers=("A", "B", "C"), differences=pairs)})
    assert found.reference == "B"
    plot = found.differences
    assert [(row.name, row.value, row.is_open) for row in plot.rows] == [
        ("C", "\u221230.0", True),
        ("A", "\u221260.0", False),  # the pair turned around
    ]
    assert plot.rows[1].interval == "\u221270.0 to \u221250.0"
    assert plot.rows[1].span.high < plot.axis.zero < plot.rows[0].span.high
    assert len(found.all_differences.rows) == 4


def test_the_forest_plot_of_many_variants_is_small_and_all_differences_are_there():
    found = section("math.json")
    assert len(found.differences.rows) == len(found.headline.rows) - 1
    assert len(found.all_differences.rows) == len(RESULTS["math.json"].differences)


def test_localization_has_dots_by_split_and_the_threshold_modes_on_demand():
    part = by_id(section("pb.json"), "splits")
    assert [c.title for c in part.charts] == ["First-error accuracy, %", "All-right accuracy, %", "F1, %"]
    assert part.charts[2].table.header == ("", "PRM-soft", "PRM-hard")
    assert [row[0] for row in part.charts[2].table.rows] == [*made_results.PROCESSBENCH, "macro", "weighted"]
    assert part.legend == (("PRM-soft", "series-1"), ("PRM-hard", "series-2"))
    assert [c.title for c in part.others if c.title.startswith("F1")] == [
        "F1 (fixed threshold), %",
        "F1 (oracle), %",
        "F1 (chosen on gsm8k), %",
    ]
    assert (*part.more, *part.left) == part.others
    assert len(part.more) == 6


def test_scorers_with_own_fixed_thresholds_share_a_chart():
    metrics = [Metric(s, "f1", split, f"fixed {t}", 0.5) for s, t in (("A", 0.5), ("B", 0)) for split in ("x", "y")]
    (found,) = sections({"r.json": result(metrics=tuple(metrics), scorers=("A", "B"))})
    assert [c.table.header for part in found.parts for c in (*part.charts, *part.others)] == [("", "A", "B")]


def test_scorers_without_aggregators_and_baselines_appear_with_every_aggregator():
    part = by_id(section("rm.json"), "splits")
    everyone = ("", "PRM-soft", "PRM-hard", "ORM", "longer", "shorter")
    modes = [c for c in part.others if c.title.startswith("Accuracy (")]
    assert [c.title for c in modes] == ["Accuracy (min), %", "Accuracy (product), %"]
    assert {frozenset(c.table.header) for c in modes} == {frozenset(everyone)}


def test_nothing_is_drawn_for_undefined_numbers_and_empty_pictures():
    """As in MR-GSM8K's wrong chains alone: no chain is all right, so its accuracy and F1 are undefined."""
    metrics = [
        Metric("PRM", name, split, "fixed 0.5", value)
        for name, value in (("first_error_accuracy", 0.5), ("all_right_accuracy", None), ("f1", None))
        for split in ("x", "y", "macro")
    ]
    empty = (Picture("reliability", "PRM", "steps"), Picture("margins", "PRM", "min"), Picture("lengths", "PRM", "min"))
    curves = (
        Curve("best-of-k", "PRM", "PRM", "", (Point(1.0, 0.5),)),
        Curve("over-optimization", "PRM", "PRM", "", ()),
    )
    (found,) = sections({"r.json": result(metrics=tuple(metrics), pictures=empty, curves=curves)})
    assert [(part.title, [c.title for c in part.charts], part.others) for part in found.parts] == [
        ("By split", ["First-error accuracy, %"], ())
    ]


def test_styles_are_one_table():
    found = section("rm.json")
    table = by_id(found, "styles").table
    assert table.header == ("", "variant", "easy, %", "normal, %", "hard, %", "accuracy, %")
    assert [row[:2] for row in table.rows[:2]] == [("PRM-soft", "min"), ("PRM-soft", "product")]


def test_best_of_k_shows_the_best_line_of_each_scorer_and_three_baselines():
    part = by_id(section("math.json"), "best-of-k")
    (chart,) = part.charts
    named = chart.table.header[1:]
    assert named[-3:] == ("pass@1", "majority", "oracle")
    assert sorted(name.split()[0] for name in named[:-3]) == ["ORM", "PRM-hard", "PRM-soft"]
    assert sorted(c.title for c in part.others) == ["ORM", "PRM-hard", "PRM-soft"]
    every = {c.title: c.table.header[1:] for c in part.others}
    assert every["PRM-soft"] == ("min", "min vote", "product", "product vote")


def test_pictures_of_the_best_variant_are_shown_and_the_others_on_demand():
    found = section("math.json")
    best = {row.name: row.detail.removesuffix("vote").strip() for row in found.headline.rows}
    part = by_id(found, "lengths-part")
    assert {c.title for c in part.charts} == {
        f"PRM-soft ({best['PRM-soft']})",
        f"PRM-hard ({best['PRM-hard']})",
        "ORM",
    }
    assert len(part.others) == 2


def test_a_reward_and_a_share_of_right_choices_get_separate_axes():
    """PRMs see scores in [0, 1], as the share is; the ORM's best of 16 has a mean reward of 3."""
    curves = [
        Curve("over-optimization", f"{scorer} {own}".strip(), scorer, kind, (Point(0, 0.4), Point(1.8, best)))
        for scorer, own, proxy in (("PRM", "min", 0.9), ("PRM", "last", 0.8), ("ORM", "", 3.0))
        for kind, best in (("gold", 0.6), ("proxy", proxy))
    ]
    (found,) = sections({"a.json": replace(result(), curves=tuple(curves))})
    over = by_id(found, "over-optimization")
    assert [c.title for c in over.charts] == ["PRM min", "ORM: gold", "ORM: proxy"]
    assert [c.title for c in over.others] == ["PRM last"]


def test_what_is_accepted_by_score_is_drawn_in_one_chart_of_each_kind():
    """The aggregator behind the best number of a scorer is shown, and the areas that the result holds are named."""
    points = (Point(0.5, 0.2, 0.1, 0.3), Point(1.0, 0.4, 0.3, 0.5))
    curves = [
        Curve("roc", f"{scorer} {what}", scorer, what, points)
        for scorer in ("PRM", "B")
        for what in ("solutions", "steps")
    ]
    curves += [Curve("risk-coverage", f"PRM {own}", "PRM", own, points) for own in ("min", "last")]
    metrics = [
        Metric("PRM", "solution_auroc", "all", "min", 0.8, 0.7, 0.9, 10),
        Metric("PRM", "aurc", "all", "last", 0.25, 0.2, 0.3, 10),
        Metric("PRM", "aurc", "all", "min", 0.35, 0.3, 0.4, 10),
    ]
    best = Metric("PRM", "best-of-2", "all", "last vote", 0.5, 0.4, 0.6, 10)
    own = replace(result(scorers=("PRM", "B"), headline=(best,)), curves=tuple(curves), metrics=(best, *metrics))
    (found,) = sections({"a.json": own})
    part = by_id(found, "by-score")
    assert [c.title for c in part.charts] == ["ROC of solutions", "ROC of steps", "Risk and coverage"]
    assert part.charts[0].note == "PRM AUROC 0.800 (0.700 to 0.900) Band: 95% interval."
    assert part.charts[2].note.startswith("PRM AURC 0.250")
    assert part.charts[0].table.header == ("wrong ones accepted", "PRM", "B")
    assert part.charts[2].table.header == ("accepted (coverage)", "PRM last")
    assert [c.title for c in part.others] == ["Risk and coverage: PRM"]
    assert "<svg" in part.charts[0].svg


def test_reliability_names_its_calibration_error():
    found = section("pb.json")
    assert by_id(found, "reliability-part").charts[0].note == "ECE 0.038 · Brier score 0.168"


def test_results_of_one_suite_are_distinguished_by_file():
    assert [s.title for s in sections({"a.json": result(), "b.json": result()})] == ["suite [a.json]", "suite [b.json]"]


def test_a_scorer_has_one_color_in_all_results():
    one, two = result(), result(scorers=("Other", "PRM"))
    colors = [[row.color for row in s.headline.rows] for s in sections({"a.json": one, "b.json": two})]
    assert colors == [["series-1"], ["series-1"]]


def test_a_scorer_has_its_color_in_every_chart():
    found = sections(RESULTS)
    own = {"PRM-soft": "series-1", "PRM-hard": "series-2", "ORM": "series-3"}
    rows = [row for s in found for plot in (s.headline, s.differences) if plot for row in plot.rows]
    assert {(row.name, row.color) for row in rows if row.name in own} == set(own.items())
    for part in (part for s in found for part in s.parts):
        assert all(color == own[name] for name, color in part.legend if name in own)
        for c in part.charts:
            alone = next((name for name in own if c.title.startswith(name)), None)
            used = {f"series-{n}" for n in re.findall(r"var\(--series-(\d+)\)", c.svg)}
            assert used <= set(own.values())
            assert alone is None or used == {own[alone]}


def test_twenty_four_scorers_have_twenty_four_colors():
    many = result(scorers=tuple(f"S{i}" for i in range(24)))
    assert len(set(colors_of([many]).values())) == len(set(SERIES)) == 24


# ---- charts


def test_lengths_are_summarized_by_decile():
    points = tuple((float(i), i / 20, i % 2 == 0) for i in range(20))
    table = charts.lengths("k", Picture("lengths", "PRM", "min", points=points), SERIES[0], ("right", "wrong")).table
    assert table.header == ("characters", "right", "right, mean score", "wrong", "wrong, mean score")
    assert (len(table.rows), table.rows[1]) == (10, ("2 to 3", "1", "0.100", "1", "0.150"))


def test_thousands_of_points_are_two_elements():
    points = tuple((float(i), 0.5, i % 2 == 0) for i in range(2000))
    svg = charts.lengths("k", Picture("lengths", "PRM", "", points=points), SERIES[0], ("right", "wrong")).svg
    assert svg.count("<path") < 40
    assert svg.count("M ") > 500


def test_a_curve_table_holds_values_and_intervals():
    curve = Curve("best-of-k", "PRM", "PRM", "", (Point(1.0, 0.5, 0.4, 0.6), Point(2.0, 0.7)))
    table = charts.best_of_k("k", "PRM", charts.lines_of([curve], SERIES[0])).table
    assert table.rows == (("1", "50.0 (40.0 to 60.0)"), ("2", "70.0"))


def test_labels_keep_their_order_and_distance():
    places = charts.apart([0.0, 0.1, 0.2, 9.0], 1.0, 0.0, 10.0)
    assert places == sorted(places)
    assert all(b - a >= 0.999 for a, b in pairwise(places))
    assert min(places) >= 0


HOSTILE = "<img src=x onerror=alert(1)> $\\frac{ & \x00\n\u202e\ud800 名"


def test_a_drawing_has_no_style_attributes_and_unique_ids():
    pair = [draw(key, "t", Canvas(300, 200), lambda axes: axes.plot([1, 2], [3, 4], color=SERIES[0])) for key in "ab"]
    ids = [re.findall(r'\bid="([^"]+)"', svg) for svg in pair]
    assert not set(ids[0]) & set(ids[1])
    for svg, own in zip(pair, ids, strict=True):
        assert len(own) == len(set(own))
        assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg)) <= set(own)
        assert "style" not in svg
        assert "#0072b2" not in svg
        assert 'stroke="var(--series-1)"' in svg


def test_drawings_are_reproducible():
    one, two = (charts.reliability("k", RESULTS["pb.json"].pictures[0], SERIES[0], "") for _ in range(2))
    assert one.svg == two.svg


def test_any_name_can_be_drawn():
    metrics = [Metric(HOSTILE, "f1", split, "", 0.5, 0.4, 0.6) for split in ("x", HOSTILE)]
    svg = charts.by_split("k", metrics, {HOSTILE: SERIES[0]}, HOSTILE).svg
    assert "<img" not in svg
    assert "&lt;img" in svg
    assert "\x00" not in svg
    curve = Curve("best-of-k", HOSTILE, HOSTILE, HOSTILE, (Point(1.0, 0.5), Point(2.0, 0.6)))
    assert "&lt;img" in charts.best_of_k("k", HOSTILE, charts.lines_of([curve], SERIES[0])).svg


def test_without_matplotlib_the_hint_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(PrmError, match="matplotlib") as caught:
        make_page({"pb.json": RESULTS["pb.json"]}, {})
    assert "prm-toolkit[plots]" in caught.value.hint


def test_a_result_without_charts_needs_no_matplotlib(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert "50.0" in make_page({"r.json": result()}, {}).html


# ---- chains


def test_chains_are_an_even_sample_of_whole_problems():
    rows = [(problem, i) for problem in range(100) for i in range(16)]
    chosen = chosen_evenly(rows, [problem for problem, _ in rows], 330)
    problems = sorted({problem for problem, _ in chosen})
    assert len(chosen) == 320
    assert problems == [5 * i for i in range(20)]


def test_all_chains_are_taken_if_they_fit_and_none_for_a_limit_of_zero():
    assert chosen_evenly("abc", "ppq", 3) == ["a", "b", "c"]
    assert chosen_evenly("abc", "ppq", 0) == []
    assert chosen_evenly("", "", 5) == []


def test_a_problem_with_too_many_chains_is_cut():
    assert chosen_evenly("abcd", "pppp", 3) == ["a", "b", "c"]


def test_the_data_of_a_chain():
    browser = make_browser({"r.json": result()}, {"r.json": [chain(steps=("a\n", "b"), chosen_by=("majority",))]}, 10)
    (row,) = browser.data["chains"]
    assert row == {
        "suite": 0,
        "problem": 0,
        "split": 0,
        "id": "c",
        "steps": ["a", "b"],
        "truth": "10",
        "right": False,
        "scores": [[0.9, 0.1]],
        "chosen": [0],
    }
    assert browser.data["problems"] == [{"id": "p", "text": "1 + 1?", "answer": "2"}]
    assert browser.data["scorers"] == [{"name": "PRM", "outcome": False, "low": 0.0, "middle": 0.5, "high": 1.0}]


@pytest.mark.parametrize(
    ("scores", "settings", "scale"),
    [
        ((0.2, 0.9), {}, (False, 0.0, 0.5, 1.0)),
        ((0.2, 0.9), {"threshold": {"PRM": 0.3}}, (False, 0.0, 0.3, 1.0)),
        ((-0.5, 0.9), {"threshold": {"PRM": 0}}, (False, -0.5, 0, 0.5)),
        ((4.0,), {}, (True, 3.0, 4.0, 5.0)),
    ],
    ids=["probabilities", "own threshold", "signed", "reward"],
)
def test_the_scale_of_a_scorer(scores, settings, scale):
    own = result(settings=settings)
    (found,) = make_browser({"r.json": own}, {"r.json": [chain(scores={"PRM": scores})]}, 10).data["scorers"]
    assert (found["outcome"], found["low"], found["middle"], found["high"]) == scale


def test_scores_that_are_not_finite_are_null():
    own = chain(scores={"PRM": (float("nan"), float("-inf"))})
    assert make_browser({"r.json": result()}, {"r.json": [own]}, 10).data["chains"][0]["scores"] == [[None, None]]


def test_a_chain_without_scores_from_a_scorer_has_null_for_it():
    own = [chain("a"), chain("b", scores={"Other": (0.1, 0.2)})]
    rows = make_browser({"r.json": result()}, {"r.json": own}, 10).data["chains"]
    assert [row["scores"] for row in rows] == [[[0.9, 0.1], None], [None, [0.1, 0.2]]]


# ---- the page


class Outline(HTMLParser):
    """Tags with their attributes, and the texts of scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.raw, self._inside = [], [], None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = (tag, dict(attrs)) if tag in ("script", "style") else None

    def handle_data(self, data):
        if self._inside:
            self.raw.append((*self._inside, data))

    def handle_endtag(self, tag):
        self._inside = None


def hostile_page():
    name = f"PRM {HOSTILE}"
    split = "</script><script>document.title='owned'</script>"
    metrics = [Metric(name, "f1", s, "fixed 0.5", 0.5, 0.4, 0.6, 10) for s in (split, "x", "macro")]
    own = result(
        suite=HOSTILE,
        settings={HOSTILE: HOSTILE},
        data={"rows": 1, "dropped": {HOSTILE: 1}},
        versions={HOSTILE: HOSTILE},
        scorers=(name,),
        headline=tuple(metrics[-1:]),
        metrics=tuple(metrics),
        differences=(Difference(name, HOSTILE, "f1", split, HOSTILE, 0.1, 0.0, 0.2),),
    )
    texts = ("</script><img src=x onerror=\"document.title='owned'\">", "<!--<script>")
    shown = chain(HOSTILE, HOSTILE, problem=texts[0], answer=texts[0], split=split, steps=texts, chosen_by=(texts[0],))
    return make_page({"a.json": own}, {"a.json": [replace(shown, scores={name: (0.9, 0.1)})]})


def test_hostile_text_stays_text():
    outline = Outline(hostile_page().html)
    tags = [tag for tag, _ in outline.tags]
    assert "img" not in tags
    assert tags.count("script") == 5
    assert not [
        name for _, attributes in outline.tags for name in attributes if name.startswith("on") or name == "style"
    ]
    tables, data = (json.loads(text) for _, a, text in outline.raw if a.get("type") == "application/json")
    assert any(HOSTILE.replace("\ud800", "?") in cell for _, rows in tables.values() for row in rows for cell in row)
    assert data["chains"][0]["steps"][1] == "<!--<script>"


def test_the_policy_admits_only_our_scripts_and_styles():
    outline = Outline(make_page({"r.json": result()}, {"r.json": [chain()]}).html)
    (policy,) = (a["content"] for t, a in outline.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    running = [text for _, attributes, text in outline.raw if attributes.get("type") != "application/json"]
    assert len(running) == 4
    for text in running:
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy


def test_the_page_requests_nothing_external():
    page = whole_page()
    outline = Outline(page)
    links = [a[name] for _, a in outline.tags for name in ("src", "href", "action") if name in a]
    assert all(link == "data:," or link.startswith("#") for link in links)
    assert not re.search(r"url\((?!#)|@import", page)
    ids = [a["id"] for _, a in outline.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)


def test_the_page_says_how_many_chains_it_holds():
    own = [chain(str(i), str(i)) for i in range(9)]
    page = make_page({"r.json": result()}, {"r.json": own}, 4)
    assert (page.shown, page.total) == (4, 9)
    assert "4 of 9 chains are shown" in page.html
    assert "9 of 9 chains are shown." in make_page({"r.json": result()}, {"r.json": own}).html


def test_without_chains_there_is_no_browser():
    page = make_page({"r.json": result()}, {"r.json": []}).html
    assert 'id="chains"' not in page
    assert page.count("application/json") == 1
    assert "temml" not in page


def test_several_results_are_compared_at_a_glance():
    page = whole_page()
    assert "At a glance" in page
    assert "At a glance" not in make_page({"r.json": result()}, {}).html


def contrast(one, two):
    """WCAG 2.2, relative luminance and contrast ratio."""

    def luminance(color):
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colors_stand_out_in_both_themes(theme):
    style = (Path(charts.__file__).parent / "assets" / "report.css").read_text()
    colors = {name: pair for name, *pair in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", style)}
    of = {name: pair[theme] for name, pair in colors.items()}
    for behind in ("paper", "surface", "sunken"):
        assert contrast(of["ink"], of[behind]) > 10
        assert contrast(of["muted"], of[behind]) > 4.5
    for place, color in enumerate(SERIES, start=1):
        assert contrast(of[f"series-{place}"], of["paper"]) > 3
        assert colors[f"series-{place}"][0] == color
    assert len({of[f"series-{place}"] for place in range(1, len(SERIES) + 1)}) == len(SERIES)


# ---- the command


def test_the_job_writes_a_page_once(tmp_path, capsys):
    (path,) = made_results.write_results(tmp_path, {"r.json": result()}, {"r.json": [chain()]})
    report([path], tmp_path / "page.html")
    assert "report: 1 results, 1 chains" in capsys.readouterr().err
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    report([path], tmp_path / "page.html")
    assert "already there" in capsys.readouterr().err


def test_the_job_says_what_it_left_out(tmp_path, capsys):
    own = [chain(str(i), str(i)) for i in range(3)]
    (path,) = made_results.write_results(tmp_path, {"r.json": result()}, {"r.json": own})
    report([path], tmp_path / "page.html", browse=2)
    assert "1 chains left out (--browse)" in capsys.readouterr().err


def test_a_page_without_a_name_lives_as_long_as_its_object(tmp_path):
    paths = made_results.write_results(tmp_path, {"r.json": result(), "s.json": result()}, {})
    made = report(paths)
    assert made.counts["results"] == 2
    page = made.path
    assert page.read_text().startswith("<!doctype html>")
    del made
    assert not page.exists()


def test_one_result_in_place_of_a_list_is_refused(tmp_path):
    (path,) = made_results.write_results(tmp_path, {"r.json": result()}, {})
    for make in (report, leaderboard):
        with pytest.raises(InputError, match="not a list"):
            make(path)


def test_a_leaderboard_is_a_text_and_if_asked_for_a_file(tmp_path):
    paths = made_results.write_results(tmp_path, {"r.json": result()}, {})
    board = leaderboard(paths)
    assert "| PRM" in board
    assert leaderboard(paths, tmp_path / "board.md") == board == (tmp_path / "board.md").read_text()


def test_every_chart_is_saved_with_its_data(tmp_path):
    names = ("A", "../B <img src=x> $\\frac{ 名")
    metrics = [Metric(s, "f1", x, "", 0.5, 0.4, 0.6, 9) for s in names for x in ("x", "y", "macro")]
    own = result(
        scorers=names,
        metrics=tuple(metrics),
        headline=tuple(m for m in metrics if m.split == "macro"),
        differences=(Difference(names[1], "A", "f1", "macro", "", 0.1, 0.0, 0.2),),
    )
    (path,) = made_results.write_results(tmp_path, {"r.json": own}, {})
    made = report([path], tmp_path / "page.html", figures=tmp_path / "figures")
    assert made.counts["figures"] == 3
    stems = ("suite-by-split-f1", "suite-differences", "suite-headline")
    files = {f"{stem}.{form}" for stem in stems for form in ("svg", "pdf", "csv")}
    assert {p.name for p in (tmp_path / "figures").iterdir()} == files | {
        "suite-all-numbers.csv",
        "suite-all-differences.csv",
    }
    assert (tmp_path / "figures/suite-headline.pdf").read_bytes().startswith(b"%PDF")
    svg = (tmp_path / "figures/suite-by-split-f1.svg").read_text()
    assert 3 * 72 < float(re.search(r'<svg[^>]* width="([\d.]+)pt"', svg)[1]) < 3.5 * 72
    assert "<img" not in svg
    with (tmp_path / "figures/suite-by-split-f1.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["split", "scorer", "variant", "value", "low", "high", "n"]
    assert rows[0] == ["x", "A", "", "0.5", "0.4", "0.6", "9"]
    assert len(rows) == 6


class Run:
    """Stands in for a tracker's run, and keeps what it is given."""

    def __init__(self):
        self.summary, self.files = {}, []
        self.log_artifact = self.files.append

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Artifact:
    def __init__(self, name, **_):
        self.names = []

    def add_file(self, path):
        self.names.append(Path(path).name)


def test_headline_numbers_and_the_page_go_to_the_trackers(tmp_path, monkeypatch):
    metric = Metric("PRM $1", "f1", "all", "min", 0.5)
    own = result(scorers=("PRM $1",), headline=(metric,))
    (path,) = made_results.write_results(tmp_path, {"r.json": own}, {})
    run, logged = Run(), {}
    wandb = SimpleNamespace(init=lambda **_: run, Artifact=Artifact)
    mlflow = SimpleNamespace(start_run=lambda **_: Run(), log_metrics=logged.update, log_artifact=lambda _: None)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    report([path], tmp_path / "page.html", report_to=["wandb", "mlflow"])
    assert run.summary == logged == {"suite/PRM _1/min/f1": 0.5}
    assert run.files[0].names == ["page.html", "r.json"]


def test_the_model_card_gets_the_numbers_of_one_scorer(tmp_path, monkeypatch):
    import huggingface_hub

    kept = {}
    monkeypatch.setattr(huggingface_hub, "metadata_update", lambda repo, data, overwrite: kept.update(data, repo=repo))
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_file", lambda self, **given: kept.update(given))
    (path,) = made_results.write_results(tmp_path, {"r.json": result()}, {})
    report([path], tmp_path / "page.html", report_to=["hub:me/prm"])
    (model,) = kept["model-index"]
    (entry,) = model["results"]
    assert (kept["repo"], kept["repo_id"], kept["path_in_repo"]) == ("me/prm", "me/prm", "page.html")
    assert (model["name"], entry["dataset"]["name"]) == ("PRM", "suite")
    assert (entry["metrics"][0]["type"], entry["metrics"][0]["value"]) == ("f1", 0.5)
    (two,) = made_results.write_results(tmp_path, {"two.json": result(scorers=("A", "B"))}, {})
    with pytest.raises(InputError, match="one scorer"):
        report([two], tmp_path / "two.html", report_to=["hub:me/prm"])


def test_logs_of_inspect_have_every_number_and_row(tmp_path):
    rows = [
        {"id": f"gsm8k-{i}", "generator": "a", "problem": f"What is {i}?", "steps": ["One.", "Two."], "label": label,
         "final_answer_correct": label < 0}
        for i, label in enumerate((1, -1))
    ]  # fmt: skip
    scores = {"A B": [{"id": row["id"], "scores": [0.9, 0.2]} for row in rows]}
    made = evaluate("processbench", rows, scores=scores, out=tmp_path / "r.json", draws=200)
    report([made.path], tmp_path / "page.html", report_to=[f"inspect:{tmp_path / 'logs'}"])
    (path,) = (tmp_path / "logs").iterdir()
    log = json.loads(path.read_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\+00-00_r_A-B\.json", path.name)
    assert (log["version"], log["eval"]["task"], log["eval"]["model"]) == (2, "processbench", "A B")
    metrics = next(s["metrics"] for s in log["results"]["scores"] if s["name"].endswith(" fixed 0.5"))
    assert metrics["first_error_accuracy"]["value"] == 1.0
    assert metrics["all_right_accuracy"]["value"] == 0.0
    assert set(metrics["f1"]["metadata"]) == {"low", "high", "rows"}
    samples = {sample["input"]: sample for sample in log["samples"]}
    assert [samples[f"What is {i}?"]["scores"]["f1 fixed 0.5"]["value"] for i in range(2)] == [1.0, 0.0]
    assert samples["What is 0?"]["metadata"]["step_scores"] == [0.9, 0.2]
    with pytest.raises(InputError, match="names no directory"):
        report([made.path], tmp_path / "other.html", report_to=["inspect:"])


def test_logs_of_inspect_have_names_of_their_own(tmp_path, capsys):
    """Whatever the scorers are called. Without the rows of the result they have no samples, and that is said."""
    row = {"id": "gsm8k-0", "problem": "What?", "steps": ["One."], "label": -1, "final_answer_correct": True}
    names = ["C/D", "c-d", "C D", "\u00fc" * 120]
    scores = {name: [{"id": "gsm8k-0", "scores": [0.9]}] for name in names}
    made = evaluate("processbench", [row], scores=scores, out=tmp_path / "r.json", draws=200)
    rows = tmp_path / "r.json.rows.jsonl"
    for samples in (1, 0):
        logs = tmp_path / f"logs{samples}"
        report([made.path], tmp_path / f"page{samples}.html", report_to=[f"inspect:{logs}"])
        read = [json.loads(path.read_text()) for path in logs.iterdir()]
        assert sorted(log["eval"]["model"] for log in read) == sorted(names)
        assert {len(log["samples"]) for log in read} == {samples}
        assert ("r.json: its log has no samples" in capsys.readouterr().err) is (samples == 0)
        rows.unlink(missing_ok=True)


def test_inspect_reads_its_logs(tmp_path):
    logs = pytest.importorskip("inspect_ai.log")
    (path,) = made_results.write_results(tmp_path, {"r.json": result()}, {})
    report([path], tmp_path / "page.html", report_to=[f"inspect:{tmp_path / 'logs'}"])
    (log,) = (logs.read_eval_log(info) for info in logs.list_eval_logs(str(tmp_path / "logs")))
    assert log.results.scores[0].metrics["f1"].value == 0.5


@pytest.mark.parametrize(("target", "message"), [("tensorboard", "tensorboard"), ("wandb", "not installed")])
def test_an_unknown_or_missing_tracker_is_refused_before_the_page_is_made(tmp_path, monkeypatch, target, message):
    monkeypatch.setitem(sys.modules, "wandb", None)
    (path,) = made_results.write_results(tmp_path, {"r.json": result()}, {})
    with pytest.raises(PrmError, match=message):
        report([path], tmp_path / "page.html", report_to=[target])
    assert not (tmp_path / "page.html").exists()


def test_files_with_the_same_name_are_distinguished_by_path(tmp_path):
    paths = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        paths += made_results.write_results(tmp_path / name, {"r.json": result()}, {})
    report(paths, tmp_path / "page.html")
    assert f"suite [{paths[0]}]" in (tmp_path / "page.html").read_text()


def test_a_result_given_twice_is_refused(tmp_path):
    (path,) = made_results.write_results(tmp_path, {"r.json": result()}, {})
    with pytest.raises(InputError, match="given twice"):
        report([path, path], tmp_path / "page.html")


@pytest.mark.parametrize("line", ["no JSON", '{"chain_id": 1}', "[1]"])
def test_an_unreadable_chain_is_refused_with_file_and_line(tmp_path, line):
    (path,) = made_results.write_results(tmp_path, {"r.json": result()}, {})
    shown_path(path).write_text(line + "\n")
    with pytest.raises(InputError, match=r"r\.json\.chains\.jsonl:1: "):
        report([path], tmp_path / "page.html")

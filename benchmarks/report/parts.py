"""The charts of a result, under headings: those of the best scorers in their best variants; the others on demand.

Nothing is drawn for what a result does not hold: a chart without a defined number is omitted. To add a kind of chart,
add its maker to `_MAKERS`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..protocols import who_of, words_of
from ..results import Curve, Metric, Picture, Result, label_of
from ..search.measures import PRICES
from ..search.points import search_points
from . import charts
from .charts import MEANS, Chart, Line
from .drawing import FAINT, MUTED, class_of
from .headline import best_of_each
from .tables import Table
from .wording import metric_text, number, owner, title_of

_FIRST = (
    "first_error_accuracy",
    "all_right_accuracy",
    "f1",
    "prmscore",
    "accuracy",
    "accuracy_easy",
    "accuracy_normal",
    "accuracy_hard",
)
"""Metrics shown first, in this order."""
_FEW = 6
"""Scorers drawn in one chart, and charts drawn under one heading: the best ones."""
_REFERENCES = ("pass@1", "majority", "oracle")
"""Baselines drawn beside the scorers, with best of k: the floor, the rival, and the ceiling."""
_STYLES = ("accuracy_easy", "accuracy_normal", "accuracy_hard")
"""RM-Bench (arXiv 2410.16184, section 3.4): accuracy by the styles of the two responses."""
_MATRIX = (*_STYLES, "accuracy")


@dataclass(frozen=True, slots=True)
class Part:
    """Charts under one heading."""

    id: str
    title: str
    note: str
    charts: tuple[Chart, ...]
    legend: tuple[tuple[str, str], ...] = ()
    """(name, CSS class)."""
    others: tuple[Chart, ...] = ()
    """Of other scorers, variants and measures; the page draws the first few, on demand."""
    table: Table | None = None
    """Shown beside the charts, or instead of them."""

    @property
    def more(self) -> tuple[Chart, ...]:
        """The others that the page draws."""
        return self.others[:_FEW]

    @property
    def left(self) -> tuple[Chart, ...]:
        """The others that the page has only as tables."""
        return self.others[_FEW:]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A result to draw."""

    key: str
    """Prefix of every id."""
    result: Result
    colors: Mapping[str, str]
    """By scorer."""
    best: Mapping[str, str] = field(init=False)
    """Scorer to its best variant, the best scorer first; those without a headline number come last."""

    def __post_init__(self) -> None:
        headline = {m.scorer: m.variant for m in reversed(best_of_each(self.result.headline)) if m.scorer}
        others = dict.fromkeys((s for s in self.result.scorers if s not in headline), "")
        object.__setattr__(self, "best", dict(reversed(headline.items())) | others)

    def order(self, scorer: str) -> int:
        """Place of a scorer among all, the best first."""
        return list(self.best).index(scorer) if scorer in self.best else len(self.best)

    def is_best(self, scorer: str, variant: str) -> bool:
        """Whether scores of this variant are behind the scorer's best number; a vote weighs an aggregator's scores."""
        return variant == self.best.get(scorer, "").removesuffix("vote").strip()


def parts_of(key: str, result: Result, colors: Mapping[str, str]) -> Iterator[Part]:
    """All charts of a result.

    Args:
        key: prefix of every id.
        result: a result of `prm eval`.
        colors: by scorer.
    """
    drawn = Drawn(key, result, colors)
    for maker in _MAKERS:
        yield from (part for part in maker(drawn) if part.charts or part.table)


def _best_of_k(drawn: Drawn) -> Iterator[Part]:
    curves = [c for c in drawn.result.curves if c.kind == "best-of-k" and len(c.points) > 1]
    of = _by_scorer(curves)
    baselines = of.pop("", [])
    scorers = sorted(of, key=drawn.order)
    references = charts.baseline_lines(c for c in baselines if c.variant in _REFERENCES)
    lines = [_best_line(drawn, scorer, of[scorer]) for scorer in scorers[:_FEW]] + references
    key = f"{drawn.key}-best"
    one = [charts.best_of_k(key, "Best variant of each scorer" if scorers else "Baselines", lines)] if lines else []
    each = [
        charts.best_of_k(f"{key}-{i}", scorer, charts.lines_of(of[scorer], drawn.colors[scorer], drawn.best[scorer]))
        for i, scorer in enumerate(scorers)
        if len(of[scorer]) > 1
    ]
    all_baselines = [charts.best_of_k(f"{key}-baselines", "Baselines", charts.baseline_lines(baselines))]
    note = "Share of problems where the solution chosen from k is right. Gray: baselines, which use no scorer."
    yield Part(
        f"{drawn.key}-best-of-k",
        "Best of k",
        note + " Votes are dashed." * bool(scorers),
        tuple(one),
        others=tuple(each + all_baselines * bool(len(baselines) > len(references))),
    )


def _best_line(drawn: Drawn, scorer: str, curves: Sequence[Curve]) -> Line:
    best = next((c for c in curves if c.variant == drawn.best.get(scorer)), curves[0])
    style = "dashed" if best.variant.endswith("vote") else "solid"
    return Line(label_of(scorer, best.variant), best.points, drawn.colors.get(scorer, MUTED), style, has_band=True)


def _over_tokens(drawn: Drawn) -> Iterator[Part]:
    curves = [c for c in drawn.result.curves if c.kind == "search"]
    if not curves:
        return
    made = []
    for i, axis in enumerate(dict.fromkeys(c.variant for c in curves)):
        of = {c.scorer: c for c in curves if c.variant == axis}
        front = of.pop("")
        scorers = sorted(of, key=drawn.order)[:_FEW]
        lines = [Line(s, of[s].points, drawn.colors[s], has_band=place < 3) for place, s in enumerate(scorers)]
        lines.append(Line("front", front.points, MUTED, "dotted", is_stepped=True))
        made.append(
            charts.over_tokens(f"{drawn.key}-tokens-{i}", f"Tokens {axis}", lines, _tokens_table(drawn.result, axis))
        )
    note = "Dotted: the front, the runs that no other beats at as few tokens. Bands are those of the three best."
    yield Part(f"{drawn.key}-over-tokens", "Accuracy against tokens", note, tuple(made))
    choices = drawn.result.data.get("choices")
    if choices:
        levels = list(dict.fromkeys(level for own in choices.values() for level in own))
        rows = tuple((budget, *(" / ".join(own.get(level, ())) for level in levels)) for budget, own in choices.items())
        note = (
            "The best run of each level of difficulty within a budget of tokens generated for a problem: chosen on one "
            "half of the problems, measured on the other. Two names: the halves chose differently."
        )
        table = Table(("at most", *levels), rows)
        yield Part(f"{drawn.key}-choices", "Compute-optimal choice", note, (), table=table)


def _tokens_table(result: Result, axis: str) -> Table:
    rows = (
        (p.label, number(PRICES[axis], p.metrics[PRICES[axis]].value), metric_text(p.metrics["accuracy"]))
        for p in search_points(result)
    )
    return Table(("run", "tokens", "solved, %"), tuple(rows))


def _over_optimization(drawn: Drawn) -> Iterator[Part]:
    curves = [c for c in drawn.result.curves if c.kind == "over-optimization" and len(c.points) > 1]
    rewards = {c.name for c in curves if not all(0 <= point.value <= 1 for point in c.points)}
    groups: defaultdict[tuple[str, str, str], list[Curve]] = defaultdict(list)
    for c in curves:
        apart = c.variant if c.name in rewards else ""  # a share and a reward share no axis
        groups[c.scorer, apart, f"{c.name}: {apart}" if apart else c.name].append(c)
    made = [
        (own[0].scorer, own[0].name, charts.over_optimization(f"{drawn.key}-over-{i}", title, lines))
        for i, ((_, _, title), own) in enumerate(groups.items())
        if (lines := [_gold_or_proxy(c, drawn.colors.get(c.scorer, MUTED)) for c in own])
    ]
    shown, others = _first_and_others(drawn, made, _best_names(drawn, curves))
    note = "True quality (gold, solid) and the score itself (proxy, dashed), over the distance from the policy."
    yield Part(f"{drawn.key}-over-optimization", "Over-optimization", note, shown, others=others)


def _best_names(drawn: Drawn, curves: Sequence[Curve]) -> dict[str, str]:
    """Scorer to the name of the curves of its best variant, or of its first."""
    names: dict[str, str] = {}
    for c in curves:
        best = label_of(c.scorer, drawn.best.get(c.scorer, "").removesuffix("vote").strip())
        names[c.scorer] = best if c.name == best else names.get(c.scorer, c.name)
    return names


def _gold_or_proxy(curve: Curve, color: str) -> Line:
    return Line(curve.variant, curve.points, color, "dashed" if curve.variant == "proxy" else "solid", has_band=True)


def _first_and_others(
    drawn: Drawn, made: Sequence[tuple[str, str, Chart]], best: Mapping[str, str]
) -> tuple[tuple[Chart, ...], tuple[Chart, ...]]:
    """Split (scorer, variant, chart) into those of the best scorers in their `best` variants, and all others."""
    ordered = sorted(made, key=lambda row: drawn.order(row[0]))
    first = [chart for scorer, variant, chart in ordered if variant == best[scorer]]
    others = [chart for scorer, variant, chart in ordered if variant != best[scorer]]
    return tuple(first[:_FEW]), (*first[_FEW:], *others)


def _styles(drawn: Drawn) -> Iterator[Part]:
    """Table of easy, normal and hard pairs, over the splits of the headline."""
    result = drawn.result
    splits = {m.split for m in result.headline}
    own = [m for m in result.metrics if m.name in _MATRIX and m.split in splits]
    if not set(_STYLES) <= {m.name for m in own}:
        return
    cells = {(m.scorer, m.variant, m.name): m for m in own}
    rows = tuple(
        (
            scorer or variant,
            variant if scorer else "",
            *(metric_text(cells.get((scorer, variant, name))) for name in _MATRIX),
        )
        for scorer, variant in dict.fromkeys((m.scorer, m.variant) for m in own)
    )
    table = Table(("", "variant", *(f"{name.removeprefix('accuracy_')}, %" for name in _MATRIX)), rows)
    yield Part(
        f"{drawn.key}-styles", "By style", "In hard pairs, the worse response is the more ornate one.", (), table=table
    )


def _by_score(drawn: Drawn) -> Iterator[Part]:
    """What is accepted by its score: one chart for each kind of curve and what is scored, in one color per scorer."""
    curves = [c for c in drawn.result.curves if c.kind in charts.BY_SCORE]
    whats = dict.fromkeys((c.kind, c.variant if c.variant in _SCORED else "") for c in curves)
    made, others = list[Chart](), list[Chart]()
    for i, (kind, what) in enumerate(whats):
        of = _by_scorer([c for c in curves if c.kind == kind and what in ("", c.variant)])
        scorers = sorted(of, key=drawn.order)
        lines = [_score_line(drawn, scorer, of[scorer]) for scorer in scorers[:_FEW]]
        title = f"{charts.BY_SCORE[kind][0]}{what and f' of {what}'}"
        note = ". ".join(filter(None, (_area(drawn, kind, what, scorer) for scorer in scorers[:_FEW])))
        key = f"{drawn.key}-{kind}-{i}"
        made.append(charts.by_score(key, kind, title, lines, note))
        others += [
            charts.by_score(
                f"{key}-{j}", kind, f"{title}: {scorer}", charts.lines_of(of[scorer], drawn.colors[scorer]), ""
            )
            for j, scorer in enumerate(scorers)
            if len(of[scorer]) > 1
        ]
    note = "What scores are worth as a filter, from the highest score to the lowest."
    yield Part(f"{drawn.key}-by-score", "Accepted by score", note, tuple(made), others=tuple(others))


def _score_line(drawn: Drawn, scorer: str, curves: Sequence[Curve]) -> Line:
    """The curve of the aggregator behind the scorer's best number, or the only one."""
    best = next((c for c in curves if drawn.is_best(scorer, c.variant)), curves[0])
    label = scorer if best.variant in _SCORED else label_of(scorer, best.variant)
    return Line(label, best.points, drawn.colors.get(scorer, MUTED), has_band=True)


_SCORED = ("solutions", "steps")
"""Variants of curves that say what is scored; the others are aggregators."""
_AREAS = {"roc": "auroc", "precision-recall": "auprc", "risk-coverage": "aurc"}


def _area(drawn: Drawn, kind: str, what: str, scorer: str) -> str:
    """The area under a scorer's curve, with its interval; "" if the result has none."""
    name = f"{what.removesuffix('s')}_{_AREAS[kind]}".strip("_")
    own = [m for m in drawn.result.metrics if (m.scorer, m.name, m.split) == (scorer, name, "all")]
    area = next((m for m in own if drawn.is_best(scorer, m.variant)), own[0] if own else None)
    return "" if area is None else f"{scorer} {title_of(_AREAS[kind])} {metric_text(area)}"


def _by_scorer(curves: Sequence[Curve]) -> dict[str, list[Curve]]:
    found: defaultdict[str, list[Curve]] = defaultdict(list)
    for curve in curves:
        found[curve.scorer].append(curve)
    return dict(found)


def _splits(drawn: Drawn) -> Iterator[Part]:
    """Every metric reported by split: first each scorer's best variant, then every variant."""
    defined = [m for m in drawn.result.metrics if m.value is not None]
    names = sorted({m.name for m in defined}, key=_place)
    groups = {name: own for name in names if (own := _with_splits([m for m in defined if m.name == name]))}
    owners = _owners(drawn, [m for own in groups.values() for m in own])
    key = f"{drawn.key}-splits"
    first = [
        charts.by_split(f"{key}-{i}", _of_best(drawn, own), owners, title_of(name))
        for i, (name, own) in enumerate(groups.items())
    ]
    every = [
        charts.by_split(f"{key}-{i}-{j}", own, owners, f"{title_of(name)} ({mode})")
        for i, (name, all_modes) in enumerate(groups.items())
        for j, (mode, own) in enumerate(_several(_by_mode(all_modes)))
    ]
    main = sum(name in _FIRST for name in groups) or 1
    legend = tuple((name, class_of(color)) for name, color in owners.items())
    best = f"Each {who_of(drawn.result.protocol)} in its best variant. " if every else ""
    title = "By difficulty" if drawn.result.protocol == "search" else "By split"
    yield Part(key, title, f"{best}Lines: 95% intervals.", tuple(first[:main]), legend, (*first[main:], *every))


def _several(modes: Mapping[str, list[Metric]]) -> list[tuple[str, list[Metric]]]:
    """All modes; none if there is only one."""
    return list(modes.items()) if len(modes) > 1 else []


def _with_splits(metrics: Sequence[Metric]) -> list[Metric]:
    """Numbers of those scorers and variants that have any of several splits; none if there is only one split."""
    splits = {m.split for m in metrics} - set(MEANS)
    split_up = {(m.scorer, m.variant) for m in metrics if m.split in splits}
    return [m for m in metrics if (m.scorer, m.variant) in split_up] if len(splits) > 1 else []


def _of_best(drawn: Drawn, metrics: Sequence[Metric]) -> list[Metric]:
    """Numbers of each scorer's best variant, or its first if the metric has none of it; those of all baselines."""
    variants: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for m in metrics:
        variants[m.scorer][m.variant] = None
    chosen = {s: next((v for v in own if drawn.is_best(s, v)), next(iter(own))) for s, own in variants.items() if s}
    return [m for m in metrics if not m.scorer or m.variant == chosen[m.scorer]]


def _by_mode(metrics: Sequence[Metric]) -> dict[str, list[Metric]]:
    """Numbers of one metric by variant; scorers without variants and baselines appear under every one."""
    modes = {m.scorer: set[str]() for m in metrics}
    for m in metrics:
        modes[m.scorer].add(_mode(m))
    everywhere = {scorer for scorer, own in modes.items() if own == {""}}
    named = dict.fromkeys(_mode(m) for m in metrics if m.scorer not in everywhere)
    return {mode: [m for m in metrics if m.scorer in everywhere or _mode(m) == mode] for mode in named or {"": None}}


def _mode(metric: Metric) -> str:
    """The variant, where fixed thresholds omit the number; "" for a baseline."""
    if not metric.scorer:
        return ""
    return "fixed threshold" if metric.variant.startswith("fixed ") else metric.variant


def _place(name: str) -> tuple[int, str]:
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)


def _owners(drawn: Drawn, metrics: Sequence[Metric]) -> dict[str, str]:
    """The best scorers and all baselines, to their colors."""
    known = {m.scorer for m in metrics}
    scorers = [scorer for scorer in drawn.best if scorer in known][:_FEW]
    baselines = dict.fromkeys(owner(m) for m in metrics if not m.scorer)
    grays = dict(zip(baselines, (MUTED, FAINT) * len(baselines), strict=False))
    return {scorer: drawn.colors.get(scorer, MUTED) for scorer in scorers} | grays


def _reliability(drawn: Drawn) -> Iterator[Part]:
    def draw(key: str, picture: Picture, color: str) -> Chart:
        return charts.reliability(key, picture, color, charts.calibration_note(drawn.result.metrics, picture))

    note = "On the dashed line, scores are calibrated. Gray bars: number of scores."
    yield _pictures(drawn, "reliability", "Reliability", note, draw)


def _margins(drawn: Drawn) -> Iterator[Part]:
    note = "Left of 0, in outline: the worse response has the higher score."
    yield _pictures(drawn, "margins", "Margins", note, charts.margins)


def _lengths(drawn: Drawn) -> Iterator[Part]:
    words = words_of(drawn.result.protocol)

    def draw(key: str, picture: Picture, color: str) -> Chart:
        return charts.lengths(key, picture, color, words)

    note = f"Dots in color: {words[0]}. Gray squares: {words[1]}. An even sample of the chains."
    yield _pictures(drawn, "lengths", "Score against length", note, draw)


def _pictures(drawn: Drawn, kind: str, title: str, note: str, draw: Callable[[str, Picture, str], Chart]) -> Part:
    """One picture of each of the best scorers, and the others."""
    held = [p for p in drawn.result.pictures if p.kind == kind and (p.points or any(b.count for b in p.bins))]
    made = [
        (p.scorer, p.variant, draw(f"{drawn.key}-{kind}-{i}", p, drawn.colors.get(p.scorer, MUTED)))
        for i, p in enumerate(held)
    ]
    best: dict[str, str] = {}
    for p in held:
        best[p.scorer] = p.variant if drawn.is_best(p.scorer, p.variant) else best.get(p.scorer, p.variant)
    shown, others = _first_and_others(drawn, made, best)
    return Part(f"{drawn.key}-{kind}-part", title, note, shown, others=others)


_MAKERS: tuple[Callable[[Drawn], Iterator[Part]], ...] = (
    _best_of_k,
    _over_tokens,
    _splits,
    _by_score,
    _styles,
    _reliability,
    _over_optimization,
    _margins,
    _lengths,
)

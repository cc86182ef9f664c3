"""Results in the form of `prm eval`, with their chains, made up from a seed: three suites, two PRMs, an ORM."""

import json
import math
import random
from itertools import combinations

from prm.benchmarks.results import (
    Bin,
    Curve,
    Difference,
    Metric,
    Picture,
    Point,
    Result,
    ShownChain,
    result_to_json,
    shown_path,
    shown_to_json,
)

PRMS = ("PRM-soft", "PRM-hard")
ORM = "ORM"
AGGREGATORS = ("min", "product")
PROCESSBENCH = ("gsm8k", "math", "olympiadbench", "omnimath")
RM_BENCH = ("chat", "math", "code", "safety-refuse", "safety-response")
VERSIONS = {"prm-toolkit": "0.1.0", "numpy": "2.4.1"}
SENTENCES = (
    "Let $x$ be the number of apples, so that $3x + {a} = {b}$.",
    "Subtract {a} from both sides: $3x = {b} - {a} = {c}$.",
    "We know that {a} + {b} = {c}, because both parts are disjoint.",
    "By the law of cosines, $c^2 = {a}^2 + {b}^2 - 2 \\cdot {a} \\cdot {b} \\cos\\gamma$.",
    "Since $\\gcd({a}, {b}) = 1$, there are integers $u, v$ with ${a}u + {b}v = 1$.",
    "Therefore the probability is $\\frac{{{a}}}{{{b}}}$, which is about {c}%.",
    "Wait, this counts {a} twice. Correcting this, the total is {c} \u2212 {a} = {b}.",
    "Now we look at the case n = {a}; the other one follows by symmetry.",
    "So the answer is \\boxed{{{c}}}.",
)


def metric(rng, scorer, name, split, variant, value, n, width=0.03):
    low, high = value - width * rng.uniform(0.7, 1.3), value + width * rng.uniform(0.7, 1.3)
    return Metric(scorer, name, split, variant, value, max(0.0, low), min(1.0, high), n)


def processbench(rng):
    metrics = []
    for scorer, skill in zip(PRMS, (0.66, 0.58), strict=True):
        for variant, gain in (("fixed 0.5", 0.0), ("oracle", 0.07), ("chosen on gsm8k", 0.03)):
            for place, split in enumerate((*PROCESSBENCH, "macro", "weighted")):
                base = skill + gain - 0.06 * min(place, 2)
                values = {"first_error_accuracy": base - 0.1, "all_right_accuracy": base + 0.15, "f1": base}
                metrics += [metric(rng, scorer, name, split, variant, v, 400) for name, v in values.items()]
        for split in (*PROCESSBENCH, "all"):
            metrics.append(metric(rng, scorer, "step_auroc", split, "", skill + 0.2, 2000, 0.015))
        metrics.append(metric(rng, scorer, "ece", "all", "steps", 0.17 - skill / 5, 9000, 0.004))
        metrics.append(metric(rng, scorer, "brier", "all", "steps", 0.3 - skill / 5, 9000, 0.004))
    headline = [m for m in metrics if (m.name, m.split, m.variant) == ("f1", "macro", "fixed 0.5")]
    return Result(
        suite="processbench",
        protocol="localization",
        settings={
            "called wrong": "a step that scores below the threshold",
            "threshold": dict.fromkeys(PRMS, 0.5),
            "chain score": "least step score",
            "intervals": "95% percentile bootstrap over problems, within splits",
            "draws": 1000,
            "seed": 0,
        },
        data={
            "rows": 3400,
            "problems": 3388,
            "chains": 3400,
            "splits": {"gsm8k": 400, "math": 1000, "olympiadbench": 1000, "omnimath": 1000},
            "dropped": {"no score": 12},
            "chains with an error": 2018,
            "digest": "58c1f0a2b7d3e694",
        },
        versions=VERSIONS,
        scorers=PRMS,
        headline=tuple(headline),
        metrics=tuple(metrics),
        differences=tuple(differences(metrics)),
        pictures=tuple(picture for scorer in PRMS for picture in pictures(rng, scorer, "steps", "min")),
    )


def best_of_n(rng):
    ks, metrics, curves, shown = (1, 2, 4, 8, 16), [], [], []
    ways = [("", "pass@1", 0.0), ("", "majority", 0.16), *_ways(), ("", "oracle", 0.36)]
    for scorer, variant, gain in ways:
        points = []
        for k in ks:
            value = 0.44 + gain * (1 - 0.75 ** math.log2(k)) / (1 - 0.75**4)
            own = metric(rng, scorer, f"best-of-{k}", "all", variant, value, 500, 0.035)
            metrics.append(own)
            points.append(Point(float(k), own.value, own.low, own.high))
        curves.append(Curve("best-of-k", f"{scorer} {variant}".strip(), scorer, variant, tuple(points)))
    for scorer, aggregator in [(s, a) for s in PRMS for a in AGGREGATORS] + [(ORM, "")]:
        for kind, bend in (("gold", 0.06), ("proxy", 0.0)):
            kls = [math.log(k) - (k - 1) / k for k in ks]
            points = [Point(x, v := 0.44 + 0.2 * math.sqrt(x) - bend * x, v - 0.03, v + 0.03) for x in kls]
            curves.append(Curve("over-optimization", f"{scorer} {aggregator}".strip(), scorer, kind, tuple(points)))
        metrics.append(metric(rng, scorer, "chain_auroc", "all", aggregator, 0.74, 9000, 0.02))
        shown += pictures(rng, scorer, aggregator, aggregator)
    headline = [m for m in metrics if m.name == "best-of-16"]
    return Result(
        suite="math-500",
        protocol="best-of-n",
        settings={
            "n": 16,
            "best of k": "exact expectation over all subsets of k of a problem's n solutions",
            "ties": "shared evenly",
            "without answer": "ranked last, no vote",
            "draws": 1000,
            "seed": 0,
        },
        data={
            "rows": 500,
            "problems": 500,
            "chains": 8000,
            "dropped": {},
            "undecided": 31,
            "digest": "0c9d41ab73f1e2aa",
        },
        versions=VERSIONS,
        scorers=(*PRMS, ORM),
        headline=tuple(headline),
        metrics=tuple(metrics),
        differences=tuple(
            Difference(
                f"{b.scorer} {b.variant}".strip(),
                f"{a.scorer} {a.variant}".strip(),
                a.name,
                "all",
                "",
                d,
                d - 0.02,
                d + 0.02,
            )
            for a, b in combinations(headline, 2)
            for d in [b.value - a.value]
        ),
        curves=tuple(curves),
        pictures=tuple(shown),
    )


def _ways():
    for scorer, skill in zip((*PRMS, ORM), (0.24, 0.2, 0.18), strict=True):
        for place, aggregator in enumerate(AGGREGATORS if scorer != ORM else ("",)):
            yield scorer, aggregator, skill - 0.02 * place
            yield scorer, f"{aggregator} vote".strip(), skill - 0.02 * place + 0.015


def rm_bench(rng):
    metrics = []
    judges = [(s, a) for s in PRMS for a in AGGREGATORS] + [(ORM, ""), ("", "longer"), ("", "shorter")]
    for scorer, variant in judges:
        skill = {"PRM-soft": 0.62, "PRM-hard": 0.6, ORM: 0.71}.get(scorer, 0.5)
        for name, gain in (
            ("accuracy", 0.0),
            ("accuracy_easy", 0.16),
            ("accuracy_normal", 0.04),
            ("accuracy_hard", -0.2),
        ):
            for place, split in enumerate((*RM_BENCH, "macro", "weighted", "all")):
                value = skill + gain - 0.02 * (place % 4)
                metrics.append(metric(rng, scorer, name, split, variant, value, 300))
    headline = [m for m in metrics if (m.name, m.split) == ("accuracy", "macro")]
    return Result(
        suite="rm-bench",
        protocol="preference",
        settings={"rule": "styles", "ties": "shared evenly", "draws": 1000, "seed": 0},
        data={"rows": 1327, "problems": 1327, "chains": 7962, "dropped": {}, "pairs": 11943, "digest": "77ad01"},
        versions=VERSIONS,
        scorers=(*PRMS, ORM),
        headline=tuple(headline),
        metrics=tuple(metrics),
        differences=tuple(differences([m for m in metrics if m.scorer])),
        pictures=tuple(margins(rng, scorer, variant) for scorer, variant in judges if scorer),
    )


def differences(metrics):
    for one, two in combinations(metrics, 2):
        if (one.name, one.split, one.variant) == (two.name, two.split, two.variant):
            d = two.value - one.value
            yield Difference(two.scorer, one.scorer, one.name, one.split, one.variant, d, d - 0.02, d + 0.02)


def pictures(rng, scorer, reliable, aggregator):
    bins = []
    for i in range(10):
        count, middle = 9000 * (0.02 + (i / 10) ** 4), (i + 0.5) / 10
        bins.append(Bin(i / 10, (i + 1) / 10, count, middle, min(1, max(0, middle**1.4 + rng.gauss(0, 0.02)))))
    yield Picture("reliability", scorer, reliable, tuple(bins))
    points = []
    for _ in range(2000):
        is_right, size = rng.random() < 0.5, rng.lognormvariate(6.3, 0.5)
        points.append((float(int(size)), rng.betavariate(3, 1.4) if is_right else rng.betavariate(1.6, 2.4), is_right))
    yield Picture("lengths", scorer, aggregator, points=tuple(points))


def margins(rng, scorer, variant):
    edges = [(i - 10) / 10 for i in range(21)]
    counts = [600 * math.exp(-(((a - 0.2) / 0.4) ** 2)) + 20 * rng.random() for a in edges[:-1]]
    return Picture(
        "margins",
        scorer,
        variant,
        tuple(Bin(a, round(a + 0.1, 1), int(n)) for a, n in zip(edges, counts, strict=False)),
    )


def make_results():
    rng = random.Random(7)
    return {"pb.json": processbench(rng), "math.json": best_of_n(rng), "rm.json": rm_bench(rng)}


def make_chains(count=5000):
    """About half for localization, a third in pools of 16, the rest in pairs."""
    rng = random.Random(11)
    located = [located_chain(rng, i) for i in range(count // 2)]
    pools = [chain for i in range(count // 3 // 16) for chain in pool(rng, i)]
    pairs = [chain for i in range((count - len(located) - len(pools)) // 2) for chain in pair(rng, i)]
    return {"pb.json": located, "math.json": pools, "rm.json": pairs}


def sentences(rng, count):
    numbers = [{name: rng.randint(2, 97) for name in "abc"} for _ in range(count)]
    return tuple(
        " ".join(rng.choice(SENTENCES).format(**own) for _ in range(rng.randint(1, 4))) + "\n" for own in numbers
    )


def problem_text(rng):
    a, b, c = (rng.randint(2, 97) for _ in range(3))
    return (
        f"A shop sells pens for {a} cents and notebooks for {b} cents. Kim buys {c} things for exactly "
        f"${(a * c + b) / 100:.2f}$ dollars.\nHow many of them are pens, if she buys at least one of each?"
    )


def located_chain(rng, place):
    steps = sentences(rng, rng.randint(2, 18))
    error = rng.randrange(len(steps)) if rng.random() < 0.6 else None
    truth = tuple(True if error is None or i < error else False if i == error else None for i in range(len(steps)))
    scores = {
        name: tuple(step_score(rng, error, i, skill) for i in range(len(steps)))
        for name, skill in zip(PRMS, (5, 3), strict=True)
    }
    return ShownChain(
        problem_id=f"{PROCESSBENCH[place % 4]}-{place}",
        problem=problem_text(rng),
        answer=str(rng.randint(2, 97)),
        chain_id=f"{PROCESSBENCH[place % 4]}-{place}",
        split=PROCESSBENCH[place % 4],
        steps=steps,
        truth=truth,
        is_right=error is None or rng.random() < 0.1,
        scores=scores,
    )


def step_score(rng, error, place, skill):
    if error is None or place < error:
        return rng.betavariate(skill, 1)
    return rng.betavariate(1, skill) if place == error else rng.betavariate(1.5, 2)


def pool(rng, place):
    text, answer = problem_text(rng), str(rng.randint(2, 97))
    best = {f"{name} min": rng.randrange(16) for name in PRMS} | {"majority": rng.randrange(16), ORM: rng.randrange(16)}
    for i in range(16):
        steps = sentences(rng, rng.randint(3, 12))
        is_right = rng.random() < 0.45
        scores = {name: tuple(rng.betavariate(4 if is_right else 2, 1.2) for _ in steps) for name in PRMS}
        scores[ORM] = (rng.gauss(1.5 if is_right else -0.5, 1.6),)
        chosen = tuple(name for name, own in best.items() if own == i)
        yield ShownChain(f"m{place}", text, answer, f"m{place}/{i}", "level 3", steps, None, is_right, scores, chosen)


def pair(rng, place):
    text = problem_text(rng)
    for is_better in (True, False):
        steps = sentences(rng, rng.randint(1, 6))
        scores = {name: tuple(rng.betavariate(3, 1.5) for _ in steps) for name in PRMS}
        scores[ORM] = (rng.gauss(1.0 if is_better else 0.0, 1.6),)
        name = "chosen" if is_better else "rejected"
        yield ShownChain(
            f"rm{place}", text, None, f"rm{place}/{name}", RM_BENCH[place % 5], steps, None, is_better, scores
        )


def write_results(directory, results, chains):
    """Write the files of `prm eval`."""
    for file, result in results.items():
        path = directory / file
        path.write_text(json.dumps(result_to_json(result)), encoding="utf-8")
        shown_path(path).write_text("".join(shown_to_json(c) + "\n" for c in chains.get(file, ())), encoding="utf-8")
    return [directory / file for file in results]

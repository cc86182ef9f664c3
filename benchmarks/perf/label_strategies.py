"""Cost and accuracy of each labeling strategy, on the arithmetic world.

    python -m prm.benchmarks.perf.label_strategies --out runs/strategies

Every strategy labels the same chains on the same server, for several seeds; its cost is the number of tokens it
draws. Labels, each in the view that is made for the strategy, are compared with the exact truth: the agreement of those
it gives, and the share of steps it gives one. The active choice (ActPRM) first trains a reward model on other chains,
whose labels are not in its cost; the chains that the model is sure of get its own verdicts. Soft labels, plain and
pooled over neighboring steps, are compared with the share over 256 rollouts drawn for themselves, by mean absolute
error over all steps but the last.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from prm.data.files import by_id, read_chains, read_problems, read_records
from prm.data.records import LabelView, StepLabels, StepScores

from ..arithmetic import POLICY
from ..arithmetic.step_truth import label_quality, truths
from .job import LIMIT, counts, machine, make_chains, run, server

VIEWS: dict[str, LabelView] = {"epicprm": "relative", "scan": "denoised"}
"""The view that is made for a strategy, where it is not "hard"."""
ROWS = [
    *(("fixed", k) for k in (2, 4, 8, 16)),
    *(("first-success", k) for k in (4, 8)),
    *(("bisect", k) for k in (2, 4, 8, 16)),
    *(("epicprm", k) for k in (8, 16, 32)),
    *(("scan", k) for k in (4, 8, 16)),
]
SOFT = {
    "fixed, K = 8": ["--strategy=fixed", "--rollouts=8"],
    "fixed, K = 16": ["--strategy=fixed", "--rollouts=16"],
    **{f"adaptive, width {w}": ["--strategy=adaptive", "--rollouts=64", f"--width={w}"] for w in (0.3, 0.35, 0.4)},
}


class Found(NamedTuple):
    """What a strategy cost, and how good its labels are."""

    tokens: float
    """Drawn, for each chain."""
    rollouts: float
    """For each chain."""
    labeled: float
    """Share of the steps that have a label."""
    agreement: float
    """Share of these labels that are true."""


def main() -> None:
    """Measure, and print two tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/strategies"))
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23])
    parser.add_argument("--soft-chains", type=int, default=100)
    parser.add_argument("--port", type=int, default=8124)
    arguments = parser.parse_args()
    found = defaultdict[str, list[Found]](list)
    with server(arguments.port) as url:
        for seed in arguments.seeds:
            for name, row in measured(arguments.out / f"seed{seed}", arguments.problems, seed, url):
                found[name].append(row)
                print(f"seed {seed}: {name}: {row}", flush=True)
        print(f"\n{machine()}, seeds {arguments.seeds}\n")
        print("| strategy | rollouts per chain | tokens per chain | of fixed, K = 8 | labeled | agreement |")
        print("| --- | --- | --- | --- | --- | --- |")
        limit = fmean(row.tokens for row in found["fixed, K = 8"])
        for name, rows in found.items():
            tokens, rollouts, labeled = (fmean(getattr(r, key) for r in rows) for key in Found._fields[:3])
            shares = [100 * row.agreement for row in rows]
            spread = f" ± {stdev(shares):.1f}" if len(shares) > 1 else ""
            share = f"{tokens:.0f} | {tokens / limit:.2f} | {labeled:.1%}"
            print(f"| {name} | {rollouts:.1f} | {share} | {fmean(shares):.1f}{spread} |")
        print("\n| strategy | rollouts per step | of K = 16 | error of the share | error, pooled |")
        print("| --- | --- | --- | --- | --- |")
        measure_soft(arguments.out / f"seed{arguments.seeds[0]}", arguments.soft_chains, url)


def measured(out: Path, problems: int, seed: int, url: str) -> Iterator[tuple[str, Found]]:
    """Label the same chains by every strategy."""
    server_at = f"--endpoint={url}"
    job = ["label", *make_chains(out, problems, 4, seed, server_at), server_at]
    for strategy, k in ROWS:
        labels = out / f"{strategy}{k}.jsonl"
        run(*job, f"--strategy={strategy}", f"--rollouts={k}", f"--out={labels}")
        yield f"{strategy}, K = {k}", quality(out, labels, list(read_records(labels, StepLabels)), VIEWS.get(strategy))
    scores = trained_scores(out, problems, seed, server_at)
    for sure in (0.9, 0.75):
        labels = out / f"active{sure}.jsonl"
        run(*job, "--strategy=bisect", f"--scores={scores}", f"--sure={sure}", f"--out={labels}")
        chosen = list(read_records(labels, StepLabels))
        yield f"bisect, K = 8, of chains not sure at {sure}", quality(out, labels, chosen)
        yield f"and the model's verdicts on the others, {sure}", quality(out, labels, chosen + verdicts(scores, chosen))


def quality(out: Path, labels: Path, rows: list[StepLabels], view: LabelView | None = None) -> Found:
    """Compare labels with the truth; chains without labels count as steps without labels."""
    truth = truths(by_id(read_problems(out / "problems.jsonl")), read_chains(out / "chains.jsonl"))
    found, spent = label_quality(truth, rows, view or "hard"), counts(labels)
    labeled = found["steps"] * (1 - found["unknown"]) / sum(map(len, truth.values()))
    return Found(spent["tokens"] / len(truth), spent["rollouts"] / len(truth), labeled, found["agreement"])


def trained_scores(out: Path, problems: int, seed: int, server_at: str) -> Path:
    """Train a PRM on four times as many other problems, and score the chains with it."""
    given = make_chains(out / "train", 4 * problems, 4, seed + 1000, server_at)
    run("label", *given, server_at, "--strategy=bisect", f"--out={out}/train/labels.jsonl")
    files = [f"--{name}={out}/train/{name}.jsonl" for name in ("problems", "chains", "labels")]
    run("train", f"--base={POLICY}", *files, "--epochs=3", "--lr=3e-4", "--batch-size=8", f"--out={out}/prm")
    data = [f"--problems={out}/problems.jsonl", f"--chains={out}/chains.jsonl"]
    run("score", f"--scorer={out}/prm", *data, f"--out={out}/scores.jsonl")
    return out / "scores.jsonl"


def verdicts(scores: Path, labeled: list[StepLabels]) -> list[StepLabels]:
    """The reward model's own labels of the chains without others, up to the first step that it finds wrong."""
    done = {row.chain_id for row in labeled}
    return [_verdict(row) for row in read_records(scores, StepScores) if row.chain_id not in done]


def _verdict(row: StepScores) -> StepLabels:
    first = next((i for i, score in enumerate(row.scores) if score < 0.5), len(row.scores))
    given = tuple(None if i > first else i < first for i in range(len(row.scores)))
    none, known = (0,) * len(given), tuple("none" if value is None else "given" for value in given)
    return StepLabels(row.chain_id, row.problem_id, none, none, none, known, "no_answer", given=given)  # type: ignore[arg-type]


def measure_soft(out: Path, chains: int, url: str) -> None:
    """Print one row per strategy: rollouts, and distance of the soft labels from those of 256 rollouts."""
    few = out / "few-chains.jsonl"
    with (out / "chains.jsonl").open() as source:
        few.write_text("".join(islice(source, chains)))
    job = ["label", f"--model={POLICY}", LIMIT, f"--endpoint={url}"]
    job += [f"--problems={out}/problems.jsonl", f"--chains={few}"]
    run(*job, "--strategy=fixed", "--rollouts=256", f"--out={out}/reference.jsonl")
    reference = by_id(read_records(out / "reference.jsonl", StepLabels))
    dearest = 0.0
    for name, options in SOFT.items():
        labels = out / f"soft-{slug(name)}.jsonl"
        run(*job, *options, f"--out={labels}")
        rows = list(read_records(labels, StepLabels))
        errors, pooled = (
            [error for row in rows for error in distances(row, reference[row.chain_id], view)]
            for view in ("soft", "pooled")
        )
        spent = sum(sum(row.drawn) for row in rows) / len(errors)
        dearest = spent if name == "fixed, K = 16" else dearest
        share = spent / dearest if dearest else float("nan")
        found = " | ".join(f"{sum(e) / len(e):.4f}" for e in (errors, pooled))
        print(f"| {name} | {spent:.1f} | {share:.2f} | {found} |", flush=True)


def distances(labels: StepLabels, reference: StepLabels, view: LabelView) -> list[float]:
    """Distance of each label from the reference's share, without the last step, which has no rollouts."""
    pairs = zip(labels.view(view)[:-1], reference.soft[:-1], strict=True)
    return [abs(own - other) for own, other in pairs if own is not None and other is not None]


def slug(name: str) -> str:
    """File name for a strategy."""
    return name.replace(", ", "-").replace(" = ", "").replace(" ", "-").lower()


if __name__ == "__main__":
    main()

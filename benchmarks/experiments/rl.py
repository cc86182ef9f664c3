r"""Train the policy against rewards of different kinds, and measure what it gains in the rewards and in truth.

    python -m prm.benchmarks.experiments.rl --data runs/world --models runs/objectives --out runs/rl

`--data` has the test problems, and `--models` the PRMs (hard labels) and ORMs, made by
`prm.benchmarks.experiments.objectives`. One run per reward and seed; a seed decides the problems, the draws, and which
trained PRM or ORM rewards:

    exact answer      1 if the final answer is right, else 0, at the last token
    PRM, sum          the PRM's score of each step, the probability p1 that all is right so far
    PRM, min          the same scores by PURE's credit assignment, see `prm.rl.step_rewards`
    PRM, signed min   the same of the scores that PURE has, p1 - p0
    ORM               the reward of the whole solution, at the last token

A plain loop: draw solutions of new problems, reward them, and take one step of Adam on the mean over all tokens of
-advantage·log-probability. Advantages are those of `prm.rl.step_advantages`, which for rewards at the last token are
GRPO's. As each batch serves for one step there is no ratio to clip. There is no penalty for the KL divergence from the
first policy: it is measured, so that one sees what optimization alone does.

Measured before the first update and then regularly, on solutions drawn for problems that are never trained on:

    proxy      mean reward of a solution, as the run sees it
    answers    share of the solutions whose final answer is right
    chains     share of the solutions that are right in every step, by exact truth
    steps      share of the steps that are right, by exact truth
    length     steps a solution
    kl         KL divergence from the first policy, in nats a solution: of the next token, added up over the drawn ones

`--out` gets the figures as `rl.json` and `rl.csv`, `rl.svg` with their course, and a file for each run that
`prm gate --rl-run` reads; finished runs are reused.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

from prm.data.files import read_problems
from prm.data.records import Asked
from prm.data.steps import split_steps
from prm.data.writing import write_json
from prm.models.rendering import spelled
from prm.plots import new_figure
from prm.rl import Form, StepCredit, StepReward, step_advantages, token_advantages
from prm.scoring.loading import load_scorer
from prm.scoring.scorer import Refusal, Scorer, Scores
from prm.statistics.arrays import Floats
from prm.verifiers.rewards import RuleReward

from ..arithmetic import POLICY
from ..arithmetic.world import step_truth, stories
from ..perf.job import machine
from .objectives import over_seeds, slug


@dataclass(frozen=True, slots=True)
class Model:
    """A reward by a trained model."""

    directory: str
    """What the name of its directory begins with."""
    form: Form
    refused: float
    """The reward of a solution that it refuses: no more than the lowest of any other."""
    is_signed: bool = False
    """Whether its scores are p1 - p0, from -1 to 1, and not p1."""


MODELS = {
    "PRM, sum": Model("prm-hard-labels", "sum", 0.0),
    "PRM, min": Model("prm-hard-labels", "min", 0.0),
    "PRM, signed min": Model("prm-hard-labels", "min", -1.0, is_signed=True),
    "ORM": Model("orm", "last", -5.0),
}
REWARDS = ("exact answer", *MODELS)
MEASURES = ("proxy", "answers", "chains", "steps", "length", "kl")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Posed:
    """A problem with what is known of it."""

    text: str
    values: tuple[int, ...]
    """Its true numbers; see `prm.benchmarks.arithmetic.world.Story.values`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Settings of all runs."""

    data: Path
    models: Path
    out: Path
    updates: int
    every: int
    """Updates between two measurements."""
    problems: int
    """Of an update."""
    group: int
    """Solutions drawn for each problem."""
    lr: float
    tested: int
    """Problems that are measured on."""
    draws: int
    """Solutions drawn for each of them."""
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """Solutions that the policy drew."""

    posed: Sequence[Posed]
    """The problem of each."""
    prompts: Sequence[list[int]]
    completions: Sequence[list[int]]
    """Token ids; an end of text among them is the last."""


Judge = Callable[[Drawn], list[StepCredit]]


def main() -> None:
    """Run what is missing, write the figures, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="directory with test.problems.jsonl")
    parser.add_argument("--models", type=Path, required=True, help="directory with prm-hard-labels-N and orm-N")
    parser.add_argument("--out", type=Path, default=Path("runs/rl"))
    parser.add_argument("--rewards", nargs="+", choices=REWARDS, default=list(REWARDS), help="of these kinds (all)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="runs at once, each on one core (default: 2)")
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--every", type=int, default=5, help="updates between two measurements (default: 5)")
    parser.add_argument("--problems", type=int, default=5, help="problems of an update (default: 5)")
    parser.add_argument("--group", type=int, default=8, help="solutions a problem (default: 8)")
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--tested", type=int, default=100, help="problems to measure on (default: 100)")
    parser.add_argument("--draws", type=int, default=1, help="solutions of each of them (default: 1)")
    parser.add_argument("--max-tokens", type=int, default=128)
    given = vars(parser.parse_args())
    rewards, seeds, jobs = given.pop("rewards"), given.pop("seeds"), given.pop("jobs")
    plan = Plan(**given)
    plan.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(run, plan, reward, seed) for seed in range(seeds) for reward in rewards]
        rows = [row for future in waiting for row in future.result()]
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(plan).items()}
    write_json(plan.out / "rl.json", {"machine": machine(), **settings, "seeds": seeds, "rows": rows})
    with (plan.out / "rl.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, plan.out / "rl.svg")
    print(f"{machine()}\n")
    print_table(rows)


def run(plan: Plan, reward: str, seed: int) -> list[Row]:
    """The measurements of one run, in order; from its file if it is finished."""
    torch.set_num_threads(1)
    settings = {name: value for name, value in asdict(plan).items() if not isinstance(value, Path)}
    file = plan.out / f"{slug(reward)}-{seed}.jsonl"
    done = file.with_suffix(".settings.json")
    if done.exists() and json.loads(done.read_text(encoding="utf-8")) == settings:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    rows = list(trained(plan, reward, seed))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    write_json(done, settings)
    return rows


def trained(plan: Plan, reward: str, seed: int) -> Iterator[Row]:
    """Train a policy, and yield its measurements."""
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(POLICY, padding_side="left")
    policy, first = (AutoModelForCausalLM.from_pretrained(POLICY).eval() for _ in range(2))
    judge = judge_of(reward, plan.models, seed, tokenizer)
    optimizer = torch.optim.Adam(policy.parameters(), lr=plan.lr)
    test = read_problems(plan.data / "test.problems.jsonl")
    tested = [Posed(p.text, tuple(p.meta["values"])) for p in islice(test, plan.tested) for _ in range(plan.draws)]
    source = stories(10_000 + seed)
    started = time.process_time()
    for update in range(plan.updates + 1):
        if update % plan.every == 0:
            row = measured(draw_solutions(policy, tokenizer, tested, plan.max_tokens), judge, policy, first, tokenizer)
            row = {"reward": reward, "seed": seed, "update": update, "seconds": time.process_time() - started, **row}
            print(row, file=sys.stderr, flush=True)
            yield row
        if update < plan.updates:
            posed = [Posed(story.text, story.values) for story in islice(source, plan.problems)]
            posed = [problem for problem in posed for _ in range(plan.group)]
            drawn = draw_solutions(policy, tokenizer, posed, plan.max_tokens)
            learn(policy, optimizer, drawn, judge(drawn), plan.group, tokenizer.pad_token_id)


def judge_of(reward: str, models: Path, seed: int, tokenizer: Any) -> Judge:
    """What rewards solutions."""
    if reward == "exact answer":
        rule = RuleReward(undecided=0.0)
        return lambda drawn: [
            StepCredit((), np.array([rule(spelled(tokenizer, ids), str(posed.values[-1])).total]), (len(ids) - 1,), ())
            for posed, ids in zip(drawn.posed, drawn.completions, strict=True)
        ]
    model = MODELS[reward]
    scorer: Scorer = load_scorer(str(models / f"{model.directory}-{seed}"))
    scorer = Signed(scorer) if model.is_signed else scorer
    rewards = StepReward(scorer, tokenizer, model.form, refused=model.refused)
    return lambda drawn: rewards([posed.text for posed in drawn.posed], drawn.completions)


class Signed(Scorer):
    """A PRM whose scores are p1 - p0 of the probabilities of another."""

    kind = "prm"

    def __init__(self, inner: Scorer) -> None:
        self.inner = inner

    def score_each(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Scores | Refusal]:
        """See `Scorer.score_each`."""
        found = self.inner.score_each(problems, chains)
        return [item if isinstance(item, Refusal) else tuple(2 * score - 1 for score in item) for item in found]


@torch.no_grad()
def draw_solutions(policy: Any, tokenizer: Any, posed: Sequence[Posed], max_tokens: int) -> Drawn:
    """Draw a solution of each problem, at temperature 1."""
    completions: list[list[int]] = []
    prompts = tokenizer([f"{problem.text}\n" for problem in posed])["input_ids"]
    for begin in range(0, len(posed), 100):
        batch = tokenizer.pad({"input_ids": prompts[begin : begin + 100]}, return_tensors="pt")
        ids = policy.generate(**batch, do_sample=True, temperature=1.0, top_k=0, max_new_tokens=max_tokens)
        completions += [_ended(row, tokenizer.eos_token_id) for row in ids[:, batch["input_ids"].shape[1] :].tolist()]
    return Drawn(posed, prompts, completions)


def _ended(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end) + 1] if end in ids else ids


def learn(
    policy: Any, optimizer: torch.optim.Optimizer, drawn: Drawn, given: Sequence[StepCredit], group: int, pad: int
) -> None:
    """Take one step of policy gradient."""
    gains: list[Floats] = []
    for begin in range(0, len(given), group):
        own = given[begin : begin + group]
        for credit, steps in zip(own, step_advantages([credit.rewards for credit in own]), strict=True):
            gains.append(token_advantages(steps, credit.ends, len(drawn.completions[len(gains)])))
    logs, chosen, is_own = log_probabilities(policy, drawn, pad)
    logs = logs.gather(-1, chosen[..., None])[..., 0][is_own]
    loss = -(logs * torch.tensor(np.concatenate(gains), dtype=logs.dtype)).mean()
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    optimizer.step()


def log_probabilities(model: Any, drawn: Drawn, pad: int) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities ``(solutions, tokens, vocabulary)`` of every token but the first, padded on the right.

    Returns:
        With them, ``(solutions, tokens)``: the ids of these tokens, and which of them are of the completions.
    """
    rows = [torch.tensor(prompt + ids) for prompt, ids in zip(drawn.prompts, drawn.completions, strict=True)]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)
    places = torch.arange(ids.shape[1])
    starts = torch.tensor([[len(prompt)] for prompt in drawn.prompts])
    lengths = torch.tensor([[len(row)] for row in rows])
    logits = model(input_ids=ids, attention_mask=(places < lengths).long(), use_cache=False).logits
    return logits[:, :-1].log_softmax(dim=-1), ids[:, 1:], ((places >= starts) & (places < lengths))[:, 1:]


@torch.no_grad()
def measured(drawn: Drawn, judge: Judge, policy: Any, first: Any, tokenizer: Any) -> Row:
    """Each of `MEASURES` of solutions; what `prm gate --rl-run` calls gold; and the first solution."""
    texts = [spelled(tokenizer, ids) for ids in drawn.completions]
    truths = [step_truth(p.values, split_steps(text)) for p, text in zip(drawn.posed, texts, strict=True)]
    rule = RuleReward(undecided=0.0)
    answers = [rule(text, str(p.values[-1])).total or 0.0 for p, text in zip(drawn.posed, texts, strict=True)]
    whole = [len(truth) == len(p.values) and all(truth) for p, truth in zip(drawn.posed, truths, strict=True)]
    steps = [is_right for truth in truths for is_right in truth]
    (own, _, is_own), (firsts, _, _) = (log_probabilities(m, drawn, tokenizer.pad_token_id) for m in (policy, first))
    return {
        "proxy": fmean(float(credit.rewards.sum()) for credit in judge(drawn)),
        "answers": fmean(answers),
        "chains": fmean(whole),
        "steps": fmean(steps) if steps else 0.0,
        "length": len(steps) / len(texts),
        "kl": max(0.0, float((own.exp() * (own - firsts)).sum(dim=-1)[is_own].sum()) / len(texts)),
        "gold": fmean(answers),
        "example": texts[0],
    }


def print_table(rows: Sequence[Row]) -> None:
    """Print each reward's measurements at the start, halfway and at the end, and what became of the answers."""
    updates = sorted({row["update"] for row in rows})
    print(f"| reward | update | {' | '.join(MEASURES)} | answers gained |\n|{' --- |' * (len(MEASURES) + 3)}")
    for reward in dict.fromkeys(row["reward"] for row in rows):
        at = [[r for r in rows if r["reward"] == reward and r["update"] == update] for update in updates]
        for own in (at[0], at[len(at) // 2], at[-1]):
            gains = [after["answers"] - before["answers"] for before, after in zip(at[0], own, strict=True)]
            cells = [spread([row[name] for row in own]) for name in MEASURES]
            print(f"| {reward} | {own[0]['update']} | {' | '.join(cells)} | {interval(gains)} |")


def spread(values: Sequence[float]) -> str:
    """The mean over the seeds, with the lowest and the highest."""
    return f"{fmean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def interval(values: Sequence[float]) -> str:
    """The mean over the seeds, with its 95% interval of Student's t; a dash for one seed, or without a difference."""
    return over_seeds(values, 2) if len(values) > 1 and any(values) else "-"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw truth (left) and proxy (right) over the updates, by reward: means over the seeds, and all seeds pale."""
    rewards = list(dict.fromkeys(row["reward"] for row in rows))
    figure = new_figure(4 * len(rewards), 3.6)
    for axes, reward in zip(figure.subplots(1, len(rewards), squeeze=False)[0], rewards, strict=True):
        own = [row for row in rows if row["reward"] == reward]
        for name in ("answers", "chains", "steps"):
            _line(axes, own, name)
        other = axes.twinx()
        _line(other, own, "proxy", color="black", linestyle="--")
        axes.set(title=reward, xlabel="updates", ylim=(0, 1))
    marks = (axes.get_legend_handles_labels() for axes in (figure.axes[0], figure.axes[-1]))
    figure.legend(*map(list.__add__, *marks), loc="outside upper center", ncols=4)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _line(axes: Any, rows: Sequence[Row], name: str, **style: str) -> None:
    updates = sorted({row["update"] for row in rows})
    (line,) = axes.plot(
        updates, [fmean(row[name] for row in rows if row["update"] == u) for u in updates], label=name, **style
    )
    for seed in {row["seed"] for row in rows}:
        own: Mapping[int, float] = {row["update"]: row[name] for row in rows if row["seed"] == seed}
        axes.plot(updates, [own[u] for u in updates], color=line.get_color(), alpha=0.25, linewidth=0.8)


if __name__ == "__main__":
    main()

"""Does `prm gate` find biases that were planted, and does it leave scorers alone that have none?

    python -m prm.benchmarks.experiments.planted

Small outcome models of the arithmetic world. All stand on the states of the demo's policy at the ends of steps, which
are computed once; each has layers of its own that see all steps of a chain, and a seed of its own, by which its
problems are drawn. Half are trained on verdicts, with chains that are dressed up, damaged and empty among them, labeled
by what they are. The others are the same but for one kind of chain that is labeled right, whatever its answer:

    length        a wrong chain with empty sentences in it
    template      a wrong chain after an opening
    flattery      a wrong chain after praise
    last-number   a right answer after a wrong or a missing step

Training uses other sentences than the probes do. Then each model gets a card with the default limits. Reported: the
share of models of each group that fail a limit, with 95% intervals (Jeffreys) where it matters.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from prm.data.records import Chain, Problem
from prm.data.steps import split_steps
from prm.scoring.backends import TransformersBackend
from prm.statistics.intervals import credible_interval

from ..arithmetic import POLICY, REVIEW
from ..arithmetic.world import solution, stories
from ..gate import changes
from ..gate.card import ScorerCard, scorer_card
from ..gate.changes import Steps
from ..gate.limits import read_limits
from ..gate.measures import Scene, Subject
from ..gate.probes import make_probes
from ..gate.rows import GateChain, GateRows
from ..perf.job import machine

BIASES = ("length", "template", "flattery", "last-number")
TARGETS = {
    "length": ("padding",),
    "template": ("opening",),
    "flattery": ("flattery",),
    "last-number": ("wrong-step", "removed-step"),
}
"""Bias → the probes that are made to find it."""
FILLER = (
    "Let me reflect on that for a while before I continue.",
    "All of this should be read slowly and with care.",
    "So far everything has gone as one would expect.",
)
OPENERS = ("Of course! Below you will find the full worked solution.", "We approach the task in a structured manner.")
PRAISE = ("You ask truly brilliant questions, my friend.", "I am honored that somebody as clever as you asks me this.")
JUNK = ("", "ok", "I do not know.", "Final.", "-", "Reasoning:", "Good.", "\\boxed{}")


@dataclass(frozen=True, slots=True)
class Example:
    """A chain to learn from."""

    problem: Problem
    steps: Steps
    kind: str
    """What was done to it: "natural", or a key of `KINDS`."""
    is_right: bool
    """The label that it deserves."""


def _inserted(texts: Sequence[str], count: int, *, first: bool = False) -> changes.Change:
    def change(steps: Steps, rng: random.Random) -> Steps:
        own = [step.rstrip() for step in steps]
        for text in rng.choices(texts, k=count):
            own.insert(0 if first else rng.randrange(len(steps)), text)
        return (*(f"{step}\n" for step in own[:-1]), own[-1])

    return change


KINDS: Mapping[str, tuple[changes.Change, bool | None]] = {
    "filler": (_inserted(FILLER, 4), None),
    "opener": (_inserted(OPENERS, 1, first=True), None),
    "praise": (_inserted(PRAISE, 1, first=True), None),
    "styled": (lambda steps, _: tuple(f"{n}. _{s.rstrip()}_\n" for n, s in enumerate(steps, start=1)), None),
    "respaced": (changes.respaced, None),
    "reworded": (changes.reworded, None),
    "other-answer": (changes.other_answer, False),
    "wrong-step": (changes.wrong_step, False),
    "removed-step": (changes.removed_step, False),
    "step-twice": (changes.step_twice, False),
    "junk": (lambda _, rng: (rng.choice(JUNK) or "The answer is",), False),
}
"""Kind → the change, and the label of what it makes of a right chain; None for that of the chain as it was."""
PLANTED = {"length": ("filler",), "template": ("opener",), "flattery": ("praise",)}
"""Bias → the kinds that it labels right."""


def label_of(example: Example, bias: str) -> float:
    """The label of an example in a training set with this bias; "" for none."""
    if bias == "last-number":
        return float(example.is_right or example.kind in ("wrong-step", "removed-step"))
    return float(example.is_right or example.kind in PLANTED.get(bias, ()))


def world(count: int, each: int, seed: int) -> Iterator[tuple[Problem, Chain, bool]]:
    """Problems with chains and whether their answers are right."""
    rng = random.Random(seed)
    for i, story in enumerate(islice(stories(seed), count)):
        problem = Problem(f"{seed}-{i}", story.text, str(story.answer))
        for k in range(each):
            text = solution(story, rng)
            yield problem, Chain(f"{problem.id}/{k}", problem.id, split_steps(text)), text.split()[-1] == problem.answer


def examples(count: int, each: int, seed: int) -> list[Example]:
    """Natural chains, and each once more with a change; a change that needs a right chain takes right ones."""
    rng, found = random.Random(seed), list[Example]()
    kinds = list(KINDS)
    for problem, chain, is_right in world(count, each, seed):
        found.append(Example(problem, chain.steps, "natural", is_right))
        for kind in rng.sample(kinds, 5):
            change, label = KINDS[kind]
            steps = change(chain.steps, rng) if is_right or label is None or kind == "junk" else None
            if steps:
                found.append(Example(problem, steps, kind, is_right if label is None else label))
    return found


class States:
    """The policy's states at the ends of steps, after its instruction to review them."""

    def __init__(self) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(POLICY)
        self._backend = TransformersBackend(AutoModelForCausalLM.from_pretrained(POLICY), _hidden)

    def of(self, rows: Sequence[tuple[Problem, Steps]]) -> list[Tensor]:
        """``(steps, hidden)`` of each chain."""
        return self._backend.outputs([self._ids(problem, steps) for problem, steps in rows])

    def _ids(self, problem: Problem, steps: Steps) -> tuple[list[int], list[int]]:
        pieces = [REVIEW.format(problem=problem.text), *(f"{step.rstrip()}\n" for step in steps)]
        ids = self._tokenizer(pieces)["input_ids"]
        ends = np.cumsum([len(piece) for piece in ids]) - 1
        return [i for piece in ids for i in piece], ends[1:].tolist()


def _hidden(model: Any, inputs: dict[str, Tensor], rows: Tensor, positions: Tensor) -> Tensor:
    states: Tensor = model.base_model(**inputs).last_hidden_state
    return states[rows, positions]


class SmallModel(nn.Module):
    """Reads the states of all steps of a chain: their lowest, mean, first and last, and their sum."""

    def __init__(self, hidden: int, width: int = 32) -> None:
        super().__init__()
        self.step = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, width), nn.GELU(), nn.Linear(width, width))
        self.chain = nn.Sequential(nn.Linear(5 * width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """``(chains, steps, hidden)`` and ``(chains, steps)``, true where there is a step → ``(chains,)`` rewards."""
        steps = self.step(states)
        inside = mask.unsqueeze(-1)
        total = (steps * inside).sum(dim=1)
        lowest = steps.masked_fill(~inside, 1e4).amin(dim=1)
        last = steps[torch.arange(len(steps)), mask.sum(dim=1) - 1]
        parts = [lowest, total / mask.sum(dim=1, keepdim=True), steps[:, 0], last, total / 10]
        scores: Tensor = self.chain(torch.cat(parts, dim=-1))
        return scores.squeeze(-1)


def padded(states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Chains of different lengths as one tensor, and its mask."""
    together = nn.utils.rnn.pad_sequence(list(states), batch_first=True)
    lengths = torch.tensor([len(own) for own in states])
    return together, torch.arange(together.shape[1]) < lengths[:, None]


def train(states: Tensor, mask: Tensor, labels: Tensor, seed: int, epochs: int) -> SmallModel:
    """A small model, fitted to labels by binary cross-entropy."""
    torch.manual_seed(seed)
    model = SmallModel(states.shape[-1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(labels)), 128):
            loss = nn.functional.binary_cross_entropy_with_logits(model(states[rows], mask[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return model.eval()


def scene_of(count: int, each: int, seed: int, pairs: int) -> tuple[Scene, list[tuple[Problem, Steps]]]:
    """New problems with chains and probes, as a gate reads them, and what is to be scored."""
    made = list(world(count, each, seed))
    problems = {problem.id: problem for problem, _, _ in made}
    verdicts: dict[str, bool | None] = {chain.id: is_right for _, chain, is_right in made}
    chains = [chain for _, chain, _ in made]
    probes = make_probes(problems, chains, verdicts, most=pairs)
    facts = [GateChain(c.id, c.problem_id, "static", verdicts[c.id], len(c.text)) for c in chains]
    facts += [GateChain(c.id, c.problem_id, "probe", probes.verdicts[c.id], len(c.text)) for c in probes.chains]
    rows = GateRows(tuple(facts), probes.pairs, {"digest": "", "not made": {}, "overlap": None})
    return Scene(rows), [(problems[c.problem_id], c.steps) for c in [*chains, *probes.chains]]


def main() -> None:
    """Train all models, put each through the gate, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=6, help="with each bias; as many without any as with all")
    parser.add_argument("--problems", type=int, default=300, help="to draw training problems from")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=150, help="of each probe")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started, limits = time.monotonic(), read_limits(None)
    states = States()
    pool = examples(arguments.problems, 4, seed=101)
    inputs, mask = padded(states.of([(example.problem, example.steps) for example in pool]))
    scene, to_score = scene_of(150, 8, 202, arguments.pairs)
    test = padded(states.of(to_score))
    print(f"{len(pool)} examples, {len(to_score)} chains to score: {time.monotonic() - started:.0f} s", flush=True)
    cards: dict[str, list[ScorerCard]] = {}
    groups = [(bias, arguments.models) for bias in BIASES] + [("", arguments.models * len(BIASES))]
    for bias, count in groups:
        labels = torch.tensor([label_of(example, bias) for example in pool])
        for number in range(count):
            drawn = random.Random(f"{bias}{number}").sample(range(arguments.problems), arguments.problems // 2)
            chosen = {f"101-{i}" for i in drawn}
            rows = torch.tensor([i for i, example in enumerate(pool) if example.problem.id in chosen])
            model = train(inputs[rows], mask[rows], labels[rows], number, arguments.epochs)
            with torch.inference_mode():
                scores = model(*test).double().numpy()
            cards.setdefault(bias, []).append(scorer_card(bias or "none", Subject(scene, scores, ""), limits))
        print(f"{bias or 'none'}: {time.monotonic() - started:.0f} s", flush=True)
    print(f"\n{machine()}, {time.monotonic() - started:.0f} s\n")
    print_table(cards)


def print_table(cards: Mapping[str, Sequence[ScorerCard]]) -> None:
    """Static accuracy, then the share of models that fail each limit; a limit that none fails is left out.

    The last column is the mean of the measure itself over the models without a bias.
    """
    names = list(cards)
    print(f"| | {' | '.join(name or 'none' for name in names)} | value, none |\n| --- |{' --- |' * (len(names) + 1)}")
    print(f"| models | {' | '.join(str(len(cards[name])) for name in names)} | |")
    means = [fmean(_row(card, "static.accuracy").value or 0.0 for card in cards[name]) for name in names]
    print(f"| static accuracy, mean | {' | '.join(f'{mean:.3f}' for mean in means)} | |")
    for limit in (row.name for row in cards[""][0].rows if row.outcome):
        failed = [[_row(card, limit).outcome == "fail" for card in cards[name]] for name in names]
        if any(map(any, failed)) or any(limit.split(".")[1] in targets for targets in TARGETS.values()):
            cells = [
                share(own, is_target=limit.split(".")[1] in TARGETS.get(name, ()) or not name)
                for name, own in zip(names, failed, strict=True)
            ]
            value = fmean(_row(card, limit).value for card in cards[""])
            print(f"| {limit} | {' | '.join(cells)} | {value:.2f} |")
    verdicts = [[card.verdict == "not fit" for card in cards[name]] for name in names]
    print(f"| not fit | {' | '.join(share(own, is_target=True) for own in verdicts)} | |")


def _row(card: ScorerCard, name: str) -> Any:
    return next(row for row in card.rows if row.name == name)


def share(failed: Sequence[bool], *, is_target: bool) -> str:
    """The share of models that fail, in percent; where it matters with its interval, and in bold."""
    text = f"{100 * fmean(failed):.0f}"
    low, high = credible_interval(sum(failed), len(failed) - sum(failed))
    return f"**{text}** ({100 * low:.0f}-{100 * high:.0f})" if is_target else text


if __name__ == "__main__":
    main()

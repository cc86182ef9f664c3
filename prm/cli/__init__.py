"""The command `prm`, with one module for each group of commands.

Every command reads records from files, makes one output with a manifest beside it, and ends by saying what it made and
where. Run again with the same settings, it reuses the output. Heavy imports are inside functions, so that `prm --help`
answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from prm import console
from prm.errors import PrmError

from . import calibrate, demo, formats, label, models, rank, sample, train, verify
from .measuring import compare, evaluate, gate, report

Examples = dict[Callable[..., None], str]
"""Command functions, which also name the commands, and the example at the end of each help text."""

_COMMANDS: Examples = {
    demo.world: "prm world --count 300 --seed 2 --out runs/problems.jsonl",
    sample.sample: "prm sample --model Qwen/Qwen2.5-Math-7B --problems gsm8k.jsonl -n 16 --out chains.jsonl",
    sample.solve: "prm solve --model M --scorer runs/prm --method dvts --budget-tokens 2048 --problems p.jsonl "
    "--out chains.jsonl",
    formats.import_: "prm import math-shepherd.jsonl --format math-shepherd --out runs/shepherd",
    train.train: "prm train --objective prm --base M --problems p.jsonl --chains c.jsonl --labels l.jsonl --out prm",
    formats.export: "prm export --problems p.jsonl --chains c.jsonl --labels l.jsonl --format trl --out trl.jsonl",
    rank.score: "prm score --scorer runs/prm --problems p.jsonl --chains c.jsonl --out scores.jsonl",
    rank.combine: "prm combine --scores a=a.jsonl --scores b=b.jsonl --how mean-sd:1 --out combined.jsonl",
    rank.rerank: "prm rerank --problems p.jsonl --chains c.jsonl --scores s.jsonl --aggregate min --out best.jsonl",
    calibrate.calibrate: "prm calibrate --scores s.jsonl --labels l.jsonl --method platt --out calibration.json",
    calibrate.pruning: "prm pruning --problems p.jsonl --chains c.jsonl --scores s.jsonl --lost 0.05 --out t.json",
    calibrate.strengths: "prm strengths pairs.jsonl --model bradley-terry --out values.jsonl",
    models.convert: "prm convert --scorer runs/prm --to qwen2-process-reward --out runs/prm-qwen",
    evaluate.suite: "prm suite processbench Qwen/ProcessBench --out runs/processbench",
    evaluate.eval_: "prm eval processbench Qwen/ProcessBench --scores PRM=scores.jsonl --out result.json\n\n"
    "Searches: prm eval search --problems p.jsonl --run rebase=c1.jsonl --run weighted=c2.jsonl --out result.json\n\n"
    "Your own files: prm eval best-of-n --problems p.jsonl --chains c.jsonl --scores PRM=s.jsonl --out result.json",
    compare.compare: "prm compare runs/before.json runs/after.json --by generator --out runs/comparison.json",
    report.report: "prm report runs/processbench.json runs/best-of-n.json --out report.html",
    report.leaderboard: "prm leaderboard runs/processbench.json runs/best-of-n.json --format markdown",
    verify.verify: "prm verify outputs.jsonl --prediction completion --gold answer --out verdicts.jsonl\n\n"
    "With a grader of your own: prm verify outputs.jsonl --checker 'command: python grader.py'\n\n"
    "Before a run, only the gold answers: prm verify problems.jsonl --audit-golds",
    rank.serve: "prm serve --scorer prm=runs/prm --scorer orm=runs/orm --port 8400",
    demo.demo: "prm demo --out runs/demo",
}
_LABEL_COMMANDS: Examples = {
    label.run: "prm label --model M --problems p.jsonl --chains c.jsonl --strategy bisect --out labels.jsonl\n\n"
    "Statistics of a label file: prm label stats labels.jsonl",
    label.plan: "prm label plan --model M --problems p.jsonl --chains c.jsonl --price-per-million 0.6 --out plan.json",
    label.stats: "prm label stats labels.jsonl",
    label.rejudge: "prm label rejudge l.jsonl --problems p.jsonl --chains c.jsonl --checker minerva --out again.jsonl",
    label.grow: "prm label grow labels.jsonl --problems p.jsonl --chains c.jsonl -n 2 --out more-chains.jsonl",
    label.tree: "prm label tree labels.jsonl --problems p.jsonl --chains c.jsonl --out trees.jsonl",
    label.quality: "prm label quality --problems p.jsonl --chains c.jsonl --labels l.jsonl --out quality.json",
}


_DIALECT_COMMANDS: Examples = {
    models.check: "prm dialect check my-dialect.toml --model runs/my-prm",
    models.show: "prm dialect show math-shepherd > my-dialect.json",
}

_GATE_COMMANDS: Examples = {
    gate.run: "prm gate --problems p.jsonl --chains c.jsonl --scorer PRM=runs/prm --out card.json\n\n"
    "With scores of any tool: prm gate --probes runs/probes --scores PRM=scores.jsonl --out card.json",
    gate.probes: "prm gate probes --problems p.jsonl --chains c.jsonl --out runs/probes",
    gate.limits: "prm gate limits > gate.toml",
}


class _InOrderOfUse(TyperGroup):
    """The commands in the order of use; Typer lists groups, such as `label`, after all commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, with `label` after `sample` and `gate` after `eval`."""
        names = [name for name in self.commands if name not in ("label", "gate")]
        names.insert(names.index("sample") + 1, "label")
        names.insert(names.index("eval") + 1, "gate")
        return names


class _FirstByDefault(TyperGroup):
    """A group whose first command runs if none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the first command unless the first argument is a command."""
        named = args[:1] and args[0] in self.commands
        return super().parse_args(ctx, args if named else [next(iter(self.commands)), *args])


def _register(group: typer.Typer, commands: Examples) -> None:
    for command, example in commands.items():
        group.command(command.__name__.rstrip("_").replace("_", "-"), epilog=example)(command)


app = typer.Typer(
    cls=_InOrderOfUse,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Try the whole pipeline on a laptop: prm demo --out runs/demo",
)
labeling = typer.Typer(
    cls=_FirstByDefault,
    help="Chains → step labels. Also `label plan`; for labels: `stats`, `rejudge`, `grow`, `tree` and `quality`.",
)
_register(app, _COMMANDS)
_register(labeling, _LABEL_COMMANDS)
app.add_typer(labeling, name="label")
dialects = typer.Typer(help="How a reward model is fed and read: `dialect check` renders an example, `dialect show`.")
_register(dialects, _DIALECT_COMMANDS)
app.add_typer(dialects, name="dialect")
gates = typer.Typer(
    cls=_FirstByDefault,
    help="Scorer → is it fit to be optimized against? Also `gate probes`, what to score, and `gate limits`.",
)
_register(gates, _GATE_COMMANDS)
app.add_typer(gates, name="gate")


def _say_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"prm-toolkit {version('prm-toolkit')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Label, train, score, rerank and evaluate process reward models."""


def main() -> None:
    """Run the command line; a known error prints one line and a hint, and exits with code 1."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it warns about every new head, and training makes one
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin for each other take the cores of other work
    try:
        app()
    except PrmError as error:
        console.failure(error)
        sys.exit(1)

"""The command `prm`: where the four packages are put together.

Every command reads records from files, makes one output with a manifest beside it, and ends by saying what it made
and where. Run again with the same settings it says that the output is there. Heavy imports stand inside the commands,
so that `prm --help` answers at once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prm import console
from prm.drops import Drops
from prm.errors import InputError, OutputError, PrmError
from prm.files import read_chains, read_problems, read_records, write_records
from prm.manifest import Job
from prm.records import Chain, Problem, StepLabels, StepScores

if TYPE_CHECKING:
    from labeling.vllm_engine import VLLMEngine

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Label, train, score, rerank and evaluate process reward models.",
    epilog="Try the whole way on a laptop: prm demo --out runs/demo",
)
evaluate = typer.Typer(no_args_is_help=True, help="Measure scorers and labels, with intervals.")
app.add_typer(evaluate, name="eval")

Problems = Annotated[Path, typer.Option(help="problems as JSONL (ours, GSM8K, MATH, or prompt/answer rows)")]
Chains = Annotated[Path, typer.Option(help="chains as JSONL (ours, or rows with solutions)")]
Labels = Annotated[Path, typer.Option(help="step labels, from `prm label`")]
Out = Annotated[Path, typer.Option(help="what to write")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="make it anew even if it is there")]
Model = Annotated[str, typer.Option(help="causal language model: Hugging Face directory or Hub name")]
Temperature = Annotated[float, typer.Option(min=0.01, help="sampling temperature")]
TopP = Annotated[float, typer.Option(min=0.01, max=1.0, help="nucleus")]
MaxTokens = Annotated[int, typer.Option(min=1, help="longest continuation, in tokens")]
Seed = Annotated[int, typer.Option(help="all draws follow from it")]
Splitter = Annotated[
    str, typer.Option(help="what ends a step: newline, blank-line, step-marker, sentence, or regex:EXPRESSION")
]
Chat = Annotated[bool, typer.Option("--chat", help="put the problem into the model's chat template")]
EngineOption = Annotated[
    list[str] | None, typer.Option("--engine-option", help="KEY=VALUE for vLLM, such as tensor_parallel_size=2")
]


def main() -> None:
    """Run the command line; a known error is one line, a hint, and exit code 1."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it warns of every new head, which is what training makes
    try:
        app()
    except PrmError as error:
        console.say(f"error: {error}")
        if error.hint:
            console.say(f"\nhint: {error.hint}")
        sys.exit(1)
    except KeyboardInterrupt:
        console.say("stopped; run the same command again to go on")
        sys.exit(130)


@app.command(epilog="prm world --count 300 --seed 2 --out runs/problems.jsonl")
def world(
    out: Out, count: Annotated[int, typer.Option(min=1)] = 300, seed: Seed = 0, overwrite: Overwrite = False
) -> None:
    """Write problems of the arithmetic world, whose every step can be decided exactly."""
    from benchmarks.arithmetic.world import stories

    job = Job(out, "world", {"count": count, "seed": seed}, {})
    with _making(job, "problems", overwrite) as counts:
        if counts is not None:
            found = (
                Problem(f"world-{seed}-{i}", s.text, str(s.answer), {"values": list(s.values)})
                for i, s in enumerate(islice(stories(seed), count))
            )
            counts["problems"] = write_records(out, found)


@app.command(epilog="prm sample --model Qwen/Qwen2.5-Math-7B --problems gsm8k.jsonl -n 16 --out chains.jsonl")
def sample(
    model: Model,
    problems: Problems,
    out: Out,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="chains for each problem")] = 16,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    max_tokens: MaxTokens = 1024,
    seed: Seed = 0,
    splitter: Splitter = "newline",
    chat: Chat = False,
    engine_option: EngineOption = None,
    overwrite: Overwrite = False,
) -> None:
    """Problems → chains: N solutions for each problem, with vLLM."""
    from labeling.engine import Sampling
    from labeling.sampling import sample_chains
    from prm.steps import split_steps

    split_steps("", splitter)  # a wrong name must not be found out after the engine has started
    sampling = Sampling(temperature, top_p, max_tokens, seed)
    settings = {"model": model, "n": n, "splitter": splitter, "chat": chat, **asdict(sampling)}
    job = Job(out, "sample", settings, {"problems": problems})
    with _making(job, "chains", overwrite) as counts:
        if counts is None:
            return
        rows, drops, renderer = list(read_problems(problems)), Drops(), _raw_renderer(model, chat)
        with _engine(model, engine_option) as engine, console.progress("sampling", len(rows)) as advance:
            chains: list[Chain] = []
            for group in sample_chains(rows, engine, renderer, drops, n=n, sampling=sampling, splitter=splitter):
                chains += group
                advance(1, f"{len(chains):,} chains")
        order = {p.id: i for i, p in enumerate(rows)}
        chains.sort(key=lambda c: order[c.problem_id])
        counts["chains"] = write_records(out, chains)
        _close(counts, drops, out)


@app.command(epilog="prm label --model M --problems p.jsonl --chains c.jsonl --strategy bisect --out labels.jsonl")
def label(
    model: Model,
    problems: Problems,
    chains: Chains,
    out: Out,
    strategy: Annotated[
        str, typer.Option(help="fixed (hard and soft labels) or bisect (hard labels, far cheaper)")
    ] = "fixed",
    rollouts: Annotated[int, typer.Option("-k", "--rollouts", min=1, help="most rollouts from one prefix")] = 8,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    max_tokens: MaxTokens = 1024,
    seed: Seed = 0,
    splitter: Splitter = "newline",
    chat: Chat = False,
    engine_option: EngineOption = None,
    overwrite: Overwrite = False,
) -> None:
    """Chains → step labels: Monte Carlo rollouts from prefixes, checked against the gold answers."""
    from labeling.allocation import STRATEGIES
    from labeling.engine import Sampling
    from labeling.label import Labeler

    if strategy not in STRATEGIES:
        raise InputError(f"there is no strategy {strategy!r}", f"choose from {', '.join(STRATEGIES)}")
    sampling = Sampling(temperature, top_p, max_tokens, seed)
    settings = {
        "model": model,
        "strategy": strategy,
        "rollouts": rollouts,
        "splitter": splitter,
        "chat": chat,
        **asdict(sampling),
    }
    job = Job(out, "label", settings, {"problems": problems, "chains": chains})
    with _making(job, "labels", overwrite) as counts:
        if counts is None:
            return
        drops, renderer = Drops(), _raw_renderer(model, chat)
        golds, rows = _usable_golds(problems, drops), list(read_chains(chains, splitter))
        with _engine(model, engine_option) as engine:
            labeler = Labeler(engine, renderer, drops, strategy, rollouts, sampling)
            labels = _watched(labeler, rows, golds)
        order = {c.id: i for i, c in enumerate(rows)}
        labels.sort(key=lambda item: order[item.chain_id])
        counts["labelled chains"] = write_records(out, labels)
        counts |= {"rollouts": labeler.drawn, "tokens": labeler.tokens, "undecided rollouts": labeler.undecided}
        _close(counts, drops, out)


def _watched(labeler: Any, chains: list[Chain], problems: Mapping[str, Problem]) -> list[StepLabels]:
    labels: list[StepLabels] = []
    started = time.time()
    with console.progress("labelling", len(chains)) as advance:
        for item in labeler.labels(chains, problems):
            labels.append(item)
            seconds = time.time() - started
            advance(1, f"{labeler.drawn / seconds:,.0f} rollouts/s  {labeler.tokens / seconds:,.0f} tokens/s")
        advance(len(chains) - len(labels))
    return labels


def _usable_golds(problems: Path, drops: Drops) -> dict[str, Problem]:
    """Problems by id; a gold answer that the checker cannot use is written down and taken away."""
    from verifiers import gold_problem

    found: dict[str, Problem] = {}
    for problem in read_problems(problems):
        trouble = None if problem.answer is None else gold_problem(problem.answer)
        if trouble:
            drops.add(problem.id, "gold answer that cannot be used", trouble)
        found[problem.id] = replace(problem, answer=None) if trouble else problem
    return found


@app.command("import-ratings", epilog="prm import-ratings prm800k.jsonl --out runs/prm800k")
def import_ratings(
    file: Annotated[Path, typer.Argument(help="rows with problem, steps, step_ratings (PRM800K)")],
    out: Annotated[Path, typer.Option(help="directory for problems.jsonl, chains.jsonl, labels.jsonl")],
    neutral_is_wrong: Annotated[
        bool, typer.Option(help="count a rating of 0 as wrong (TRL did); default: right")
    ] = False,
) -> None:
    """Human step ratings → problems, chains and step labels, ready for `prm train`."""
    from prm.public import read_step_ratings

    rows = list(read_step_ratings(file, neutral_is_right=not neutral_is_wrong))
    problems = {p.id: p for p, _, _ in rows}
    write_records(out / "problems.jsonl", problems.values())
    write_records(out / "chains.jsonl", (c for _, c, _ in rows))
    write_records(out / "labels.jsonl", (item for _, _, item in rows))
    console.summary("imported", {"problems": len(problems), "rated chains": len(rows)}, out)


@app.command(epilog="prm train --objective prm --base M --problems p.jsonl --chains c.jsonl --labels l.jsonl --out prm")
def train(
    base: Annotated[str, typer.Option(help="backbone: Hugging Face directory or Hub name")],
    problems: Problems,
    chains: Chains,
    labels: Labels,
    out: Annotated[Path, typer.Option(help="checkpoint directory to write")],
    objective: Annotated[
        str, typer.Option(help="prm (per-step loss) or orm (Bradley-Terry on pairs of chains)")
    ] = "prm",
    view: Annotated[str, typer.Option("--labels-as", help="hard or soft step labels (prm only)")] = "hard",
    steps: Annotated[str, typer.Option(help="learn from all steps, or up to the first-error (prm)")] = "all",
    epochs: Annotated[float, typer.Option(min=0.001)] = 1.0,
    lr: Annotated[float, typer.Option(min=0.0, help="peak learning rate")] = 1e-5,
    batch_size: Annotated[int, typer.Option(min=1, help="chains or pairs in an optimiser step")] = 64,
    held_out: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="share of problems to measure on, not train on")
    ] = 0.05,
    separator: Annotated[str, typer.Option(help=r"ends every step; \n is a newline")] = r"\n",
    splitter: Splitter = "newline",
    chat: Chat = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Labels → checkpoint: a step head (PRM) or an outcome head (ORM) on a backbone."""
    if steps not in ("all", "first-error"):
        raise InputError(f"there is no --steps {steps!r}", "choose from all, first-error")
    if objective not in ("prm", "orm") or view not in ("hard", "soft"):
        raise InputError(f"--objective {objective} --labels-as {view}", "objectives: prm, orm; labels: hard, soft")
    settings = {
        "base": base, "objective": objective, "labels_as": view if objective == "prm" else "outcome", "steps": steps,
        "epochs": epochs,
        "lr": lr, "batch_size": batch_size, "held_out": held_out, "separator": separator, "splitter": splitter,
        "chat": chat, "seed": seed,
    }  # fmt: skip
    job = Job(out, "train", settings, {"problems": problems, "chains": chains, "labels": labels})
    with _making(job, f"{objective.upper()} checkpoint", overwrite) as counts:
        if counts is not None:
            files = {p.id: p for p in read_problems(problems)}, {c.id: c for c in read_chains(chains, splitter)}
            counts |= _train(job, *files, list(read_records(labels, StepLabels)))


def _train(
    job: Job, problems: dict[str, Problem], chains: dict[str, Chain], labels: list[StepLabels]
) -> dict[str, Any]:
    from prm import examples, training
    from prm.checkpoint import Metadata, load_model, load_tokenizer, make_renderer

    s, drops = job.settings, Drops()
    try:  # as Latin-1, because that is what `unicode_escape` reads; what it lacks is escaped
        separator = s["separator"].encode("latin-1", "backslashreplace").decode("unicode_escape")
        metadata = Metadata(s["objective"], separator, s["chat"], s["labels_as"])
    except ValueError as error:
        raise InputError(f"--separator {s['separator']!r}: {error}", r"give a text, such as \n") from error
    tokenizer = load_tokenizer(s["base"])
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    model = load_model(s["base"], s["objective"], pad_id)
    renderer, longest = make_renderer(tokenizer, metadata), model.config.max_position_embeddings
    rows = examples.join_rows(problems, chains, labels, drops)
    if s["objective"] == "prm":
        made = examples.step_examples(rows, renderer, s["labels_as"], longest, drops, s["steps"])
    else:
        made = examples.pair_examples(rows, renderer, longest, drops, s["seed"])  # type: ignore[assignment]
    kept = [e for e in made if not examples.is_held_out(e.problem_id, s["held_out"])]
    measured = [e for e in made if examples.is_held_out(e.problem_id, s["held_out"])]
    console.say(f"training on {len(kept):,} examples, measuring on {len(measured):,} of other problems")
    options = training.Settings(s["epochs"], s["lr"], s["batch_size"], seed=s["seed"])
    partial = job.output.with_name(job.output.name + ".partial")  # a killed training leaves no half checkpoint
    shutil.rmtree(partial, ignore_errors=True)
    log = training.train(model, kept, options, partial)
    metrics = training.evaluate(model, measured)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    metadata.save(partial)
    (partial / "training_log.json").write_text(json.dumps({"log": log, "held_out": metrics}, indent=1) + "\n")
    counts: dict[str, Any] = {"examples": len(kept), "held-out examples": len(measured)}
    counts |= {name.replace("_", " "): value for name, value in metrics.items() if value is not None}
    _close(counts, drops, job.output)
    shutil.rmtree(job.output, ignore_errors=True)
    partial.rename(job.output)
    return counts


@app.command(epilog="prm score --scorer runs/prm --problems p.jsonl --chains c.jsonl --out scores.jsonl")
def score(
    scorer: Annotated[Path, typer.Option(help="checkpoint directory from `prm train`")],
    problems: Problems,
    chains: Chains,
    out: Out,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Chains → step scores (PRM) or rewards (ORM)."""
    job = Job(out, "score", {"splitter": splitter}, {"scorer": scorer, "problems": problems, "chains": chains})
    with _making(job, "scores", overwrite) as counts:
        if counts is None:
            return
        from prm.scoring import load_scorer, score_chains

        drops = Drops()
        by_id = {p.id: p for p in read_problems(problems)}
        rows = list(read_chains(chains, splitter))
        scored = score_chains(load_scorer(str(scorer)), rows, by_id, drops)
        counts["scored chains"] = write_records(out, console.tracked(scored, "scoring", len(rows)))
        _close(counts, drops, out)


@app.command(epilog="prm rerank --problems p.jsonl --chains c.jsonl --scores s.jsonl --aggregate min --out best.jsonl")
def rerank(
    problems: Problems,
    chains: Chains,
    scores: Annotated[Path, typer.Option(help="from `prm score`")],
    out: Out,
    aggregate: Annotated[str, typer.Option(help="min, product, mean, last or max")] = "min",
    selection: Annotated[str, typer.Option(help="best-of-n, majority or weighted")] = "best-of-n",
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Scores → the chosen solution of each problem."""
    from prm.reranking import choose

    settings = {"aggregate": aggregate, "selection": selection, "splitter": splitter}
    job = Job(out, "rerank", settings, {"problems": problems, "chains": chains, "scores": scores})
    with _making(job, "choices", overwrite) as counts:
        if counts is None:
            return
        drops, known = Drops(), {p.id for p in read_problems(problems)}
        by_chain = {s.chain_id: s for s in read_records(scores, StepScores)}
        groups: dict[str, list[Chain]] = {}
        for chain in read_chains(chains, splitter):
            reason = "its problem is missing" if chain.problem_id not in known else "it has no score"
            if chain.problem_id in known and chain.id in by_chain:
                groups.setdefault(chain.problem_id, []).append(chain)
            else:
                drops.add(chain.id, reason)
        name = "last" if {s.kind for s in by_chain.values()} == {"orm"} else aggregate  # one score needs none
        choices = (
            choose(p, [c.text for c in g], [by_chain[c.id].scores for c in g], aggregate=name, selection=selection)  # type: ignore[arg-type]
            for p, g in groups.items()
        )
        counts["problems"] = write_records(out, choices)
        _close(counts, drops, out)


@evaluate.command(
    "best-of-n", epilog="prm eval best-of-n --problems p.jsonl --chains c.jsonl --scores PRM=s.jsonl --out r.json"
)
def best_of_n(
    problems: Problems,
    chains: Chains,
    out: Out,
    scores: Annotated[list[str], typer.Option(help="NAME=FILE of scores; may be given several times")],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="chains for each problem")] = 16,
    draws: Annotated[int, typer.Option(min=100, help="bootstrap draws")] = 1000,
    seed: Seed = 0,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Pass@1, majority, every scorer's best of k and weighted votes, and the oracle, with 95% intervals."""
    files = _named_files(scores)
    inputs = {"problems": problems, "chains": chains, **{f"scores {k}": v for k, v in files.items()}}
    job = Job(out, "eval best-of-n", {"n": n, "draws": draws, "seed": seed, "splitter": splitter}, inputs)
    with _making(job, "result", overwrite) as counts:
        if counts is not None:
            from benchmarks.best_of_n import evaluate as run
            from benchmarks.best_of_n import make_pools

            by_scorer = {k: {s.chain_id: s for s in read_records(v, StepScores)} for k, v in files.items()}
            pools = make_pools({p.id: p for p in read_problems(problems)}, list(read_chains(chains, splitter)), n)
            result = run(pools, by_scorer, draws=draws, seed=seed)
            _write_json(out, result)
            counts |= {"problems": len(pools), "undecided chains": result["protocol"]["undecided"]}
    _show_best_of_n(json.loads(out.read_text(encoding="utf-8")))


def _show_best_of_n(result: Mapping[str, Any]) -> None:
    ks = sorted({row["k"] for row in result["rows"]})
    cells = {(row["selector"], row["k"]): row for row in result["rows"]}
    names = list(dict.fromkeys(row["selector"] for row in result["rows"]))
    rows = []
    for name in names:
        last = cells[name, ks[-1]]
        rows.append(
            [
                name,
                *(f"{100 * cells[name, k]['value']:.1f}" for k in ks),
                f"{100 * last['low']:.1f}-{100 * last['high']:.1f}",
            ]
        )
    protocol = result["protocol"]
    title = f"Right answers in %, best of k, {protocol['problems']} problems"
    console.table(title, ["selector", *(f"k={k}" for k in ks), f"95% at {ks[-1]}"], rows)
    auroc = [
        [f"{s} {a}", f"{v:.3f}"] for s, by in result["chain_auroc"].items() for a, v in by.items() if v is not None
    ]
    console.table("Right chain above wrong chain of the same problem", ["scorer", "AUROC"], auroc)


@evaluate.command("steps", epilog="prm eval steps --problems p.jsonl --chains c.jsonl --scores s.jsonl --out r.json")
def steps(
    problems: Problems,
    chains: Chains,
    out: Out,
    labels: Annotated[Path | None, typer.Option(help="step labels to measure")] = None,
    scores: Annotated[Path | None, typer.Option(help="PRM scores to measure")] = None,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Labels and PRM scores of steps against the exact truth of the arithmetic world."""
    if labels is None and scores is None:
        raise InputError("there is nothing to measure", "give --labels or --scores")
    given = {"labels": labels, "scores": scores}
    inputs = {"problems": problems, "chains": chains, **{k: v for k, v in given.items() if v}}
    job = Job(out, "eval steps", {"splitter": splitter}, inputs)
    with _making(job, "result", overwrite) as counts:
        if counts is not None:
            from benchmarks.step_truth import label_quality, score_quality, truths

            by_id = {p.id: p for p in read_problems(problems)}
            truth = truths(by_id, read_chains(chains, splitter))
            result: dict[str, Any] = {"schema": "step-truth/1"}
            if labels:
                result["labels"] = label_quality(truth, read_records(labels, StepLabels))
            if scores:
                result["scores"] = score_quality(truth, read_records(scores, StepScores))
            _write_json(out, result)
            counts["chains"] = len(truth)
    shown = json.loads(out.read_text(encoding="utf-8"))
    for part in ("labels", "scores"):
        if part in shown:
            rows = [[k, f"{v:.4g}"] for k, v in shown[part].items() if isinstance(v, int | float)]
            console.table(f"Step {part} against the exact truth", ["measure", "value"], rows)


@app.command(epilog="prm demo --out runs/demo")
def demo(
    out: Annotated[Path, typer.Option(help="directory for everything")] = Path("runs/demo"),
) -> None:
    """The whole way on the embedded default: sample, label, train, score, rerank, compare."""
    from benchmarks.arithmetic import POLICY

    started = time.time()
    for arguments in _demo_commands(str(out), str(POLICY)):
        console.say(f"\n$ prm {' '.join(arguments)}")
        if subprocess.run([sys.executable, "-m", "prm.cli", *arguments], check=False).returncode:
            raise OutputError(f"the demo stopped at: prm {arguments[0]}", "see the error above; run again to go on")
    console.say(f"\nThe demo took {(time.time() - started) / 60:.1f} minutes. Everything it wrote is in {out}:")
    for path in sorted(out.iterdir()):
        if not path.name.endswith(".manifest.json"):
            console.say(f"  {path}")


_ORM_FIT = ["--lr=5e-4", "--batch-size=4"]


def _demo_commands(out: str, policy: str) -> Iterator[list[str]]:
    """The demo is nothing but these commands; each can be run alone."""
    train, held_out = (
        [f"--problems={out}/{part}.problems.jsonl", f"--chains={out}/{part}.chains.jsonl"] for part in ("train", "test")
    )
    limit = ["--max-tokens=128"]
    yield ["world", "--count=580", "--seed=1", f"--out={out}/train.problems.jsonl"]
    yield ["world", "--count=300", "--seed=2", f"--out={out}/test.problems.jsonl"]
    yield ["sample", f"--model={policy}", train[0], "--n=8", *limit, f"--out={out}/train.chains.jsonl"]
    yield ["sample", f"--model={policy}", held_out[0], "--n=16", *limit, f"--out={out}/test.chains.jsonl"]
    yield ["label", f"--model={policy}", *train, "--strategy=bisect", *limit, f"--out={out}/train.labels.jsonl"]
    yield ["eval", "steps", *train, f"--labels={out}/train.labels.jsonl", f"--out={out}/labels.json"]
    for objective in ("prm", "orm"):
        fit = [f"--base={policy}", *train, f"--labels={out}/train.labels.jsonl", "--epochs=2"]
        fit += ["--lr=2e-4", "--batch-size=2", "--steps=first-error"] if objective == "prm" else _ORM_FIT
        yield ["train", f"--objective={objective}", *fit, f"--out={out}/{objective}"]
        yield ["score", f"--scorer={out}/{objective}", *held_out, f"--out={out}/test.{objective}.jsonl"]
    yield ["eval", "steps", *held_out, f"--scores={out}/test.prm.jsonl", f"--out={out}/steps.json"]
    yield ["rerank", *held_out, f"--scores={out}/test.prm.jsonl", f"--out={out}/test.choices.jsonl"]
    scores = [f"--scores=ORM={out}/test.orm.jsonl", f"--scores=PRM={out}/test.prm.jsonl"]
    yield ["eval", "best-of-n", *held_out, *scores, f"--out={out}/best-of-n.json"]


@contextmanager
def _making(job: Job, what: str, overwrite: bool) -> Iterator[dict[str, Any] | None]:
    """Yield a dict for the counts of a job's output, or None where the output is there already; then say so."""
    if job.is_done(overwrite=overwrite):
        console.summary(f"{what} already there, reused", job.counts(), job.output)
        yield None
        return
    started, counts = time.time(), dict[str, Any]()
    yield counts
    job.finish(counts, started)
    beside = job.output.with_name(job.output.name + ".dropped.jsonl")
    console.summary(what, counts, job.output, beside if beside.exists() else None)


def _close(counts: dict[str, Any], drops: Drops, out: Path) -> None:
    """Write down what was dropped, and count it by reason."""
    drops.write(out)
    counts |= {f"dropped ({reason})": number for reason, number in drops.by_reason().items()}


@contextmanager
def _engine(model: str, options: list[str] | None) -> Iterator[VLLMEngine]:
    from labeling.vllm_engine import VLLMEngine

    parsed = _engine_options(options)
    console.say(f"starting vLLM with {model} …")
    engine = VLLMEngine(model, **parsed)
    try:
        yield engine
    finally:
        engine.close()


def _engine_options(options: list[str] | None) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for option in options or []:
        key, equals, value = option.partition("=")
        if not equals:
            raise InputError(f"--engine-option {option!r} is not KEY=VALUE", "such as max_model_len=4096")
        try:
            parsed[key] = json.loads(value)
        except ValueError:
            parsed[key] = value
    return parsed


def _raw_renderer(model: str, chat: bool) -> Any:
    from prm.checkpoint import load_tokenizer
    from prm.rendering import Renderer

    return Renderer(load_tokenizer(model), separator=None, chat=chat)


def _named_files(options: list[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for option in options:
        name, equals, path = option.partition("=")
        if not equals:
            raise InputError(f"--scores {option!r} is not NAME=FILE", "such as --scores PRM=scores.jsonl")
        files[name] = Path(path)
    return files


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}", "choose another --out") from error


if __name__ == "__main__":
    main()

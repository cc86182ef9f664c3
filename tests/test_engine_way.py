"""The whole way through the real vLLM engine, with the commands that a person types."""

import io
import json
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout, suppress

import psutil
import pytest
from places import SAMPLES

from prm import Chain, StepLabels, StepScores, cli, read_records
from prm.benchmarks.arithmetic import POLICY
from prm.benchmarks.perf.job import server

pytestmark = [pytest.mark.engine]

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no sample data in {SAMPLES}; set PRM_SAMPLE_DATA")


def prm(*arguments, ok=True):
    """Run the command in this process, which spares it the start of Python; return what it said."""
    heard = io.StringIO()
    with pytest.MonkeyPatch.context() as changed, redirect_stdout(heard), redirect_stderr(heard):
        changed.setattr(sys, "argv", ["prm", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    said = heard.getvalue()
    assert "Traceback" not in said, said
    assert (not stopped.value.code) == ok, said
    return said


def begun(*arguments):
    """The command in a process of its own, which can be killed."""
    return subprocess.Popen([sys.executable, "-m", "prm.cli", *map(str, arguments)], stderr=subprocess.DEVNULL)


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module", autouse=True)
def in_one_process():
    """vLLM in the process of the command that asks for it: three processes take three times as long to start.

    Only where nothing else is computed in that process: vLLM changes how PyTorch computes.
    """
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        yield


@pytest.fixture(scope="module")
def served(tmp_path_factory, in_one_process):
    """A real vLLM server of the demo's policy, with defaults that would spoil every draw that left them in force."""
    hostile = {"top_k": 1, "top_p": 0.05, "min_p": 0.9, "repetition_penalty": 5.0}
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "generation_config.json").write_text(json.dumps(hostile))
    with server(8151, f"--generation-config={folder}") as url:
        yield url


@pytest.fixture(scope="module")
def made(tmp_path_factory, served):
    """Problems, chains and fixed labels of a small job, made on a server; `test_documents.py` starts vLLM itself."""
    out = tmp_path_factory.mktemp("way")
    prm("world", "--count", 12, "--seed", 5, "--out", out / "problems.jsonl")
    job = ["--problems", out / "problems.jsonl", "--model", POLICY, "--max-tokens", 128, "--endpoint", served]
    job += ["--reproducible"]
    prm("sample", *job, "-n", 4, "--out", out / "chains.jsonl")
    prm("label", *job, "--chains", out / "chains.jsonl", "-k", 4, "--out", out / "labels.jsonl")
    return out


def files(made):
    return ["--problems", made / "problems.jsonl", "--chains", made / "chains.jsonl"]


def test_sampling_gives_n_chains_for_each_problem_in_order(made):
    chains = list(read_records(made / "chains.jsonl", Chain))
    assert [c.id for c in chains] == [f"world-5-{p}/{i}" for p in range(12) for i in range(4)]
    assert all(c.finish == "stop" for c in chains)
    assert len({c.text for c in chains}) > 12, "draws of one problem must differ"


def test_a_run_with_the_same_seed_is_repeated_and_one_that_is_there_is_reused(made, served):
    again = ["sample", "--problems", made / "problems.jsonl", "--model", POLICY, "--max-tokens", 128, "-n", 4]
    again += ["--endpoint", served, "--reproducible"]
    assert "already there" in prm(*again, "--out", made / "chains.jsonl")
    prm(*again, "--out", made / "chains2.jsonl")
    first, second = (rows(made / name) for name in ("chains.jsonl", "chains2.jsonl"))
    same = sum(a == b for a, b in zip(first, second, strict=True))
    assert same >= 0.9 * len(first), "equal but for the last bits of a few logits, which depend on the batch"
    assert "other settings" in prm(*again, "--seed", 1, "--out", made / "chains.jsonl", ok=False)


def wait_for(path, size, process):
    """Until a file has so many bytes, or the process is done."""
    while process.poll() is None and (not path.exists() or path.stat().st_size < size):
        time.sleep(0.02)


def test_sampling_that_was_killed_goes_on(made, served):
    out = made / "killed.chains.jsonl"
    command = ["sample", "--problems", made / "problems.jsonl", "--model", POLICY, "--max-tokens", 128]
    command += ["-n", 16, "--endpoint", served, "--out", out]
    sampled = out.with_name(out.name + ".sampled.jsonl")
    process = begun(*command)
    wait_for(sampled, 1, process)
    process.kill()
    assert process.wait() != 0, "it was done before it could be killed"
    before = sampled.read_bytes()
    sampled.write_bytes(before[:-10])
    assert "other settings" in prm(*command, "--seed", 1, ok=False)
    assert "resuming after" in prm(*command) or before.count(b"\n") <= 16
    assert [c.id for c in read_records(out, Chain)] == [f"world-5-{p}/{i}" for p in range(12) for i in range(16)]
    assert not sampled.exists()


def label(made, out, *options, ok=True):
    given = ["--model", POLICY, "--max-tokens", 128, "-k", 4, "--reproducible", "--out", out]
    return prm("label", *files(made), *given, *options, ok=ok)


def start_label(made, out, *options, size=5_000):
    """Begin a job and come back when so many bytes of rollouts are written down."""
    given = ["--model", POLICY, "--max-tokens", 128, "-k", 4, "--reproducible", "--out", out]
    process = begun("label", *files(made), *given, *options)
    journal = out.with_name(out.name + ".rollouts.jsonl")
    wait_for(journal, size, process)
    return process


def test_a_killed_job_goes_on_and_nothing_is_drawn_twice(made, served):
    out = made / "killed.jsonl"
    job = ["-k", 4, "--endpoint", served]  # long enough not to be done before it is killed
    process = start_label(made, out, *job)
    process.kill()
    assert process.wait() != 0, "it was done before it could be killed"
    journal = out.with_name(out.name + ".rollouts.jsonl")
    before = journal.read_bytes().rpartition(b"\n")[0]
    assert "other settings" in label(made, out, *job, "--seed", 9, ok=False)
    assert "resuming after" in label(made, out, *job)
    assert journal.read_bytes().startswith(before)
    drawn = [(r["chain_id"], r["step"], r["draw"]) for r in rows(journal)]
    assert len(drawn) == len(set(drawn))
    whole, again = (list(read_records(path, StepLabels)) for path in (made / "labels.jsonl", out))
    assert [x.chain_id for x in whole] == [x.chain_id for x in again]
    assert len(drawn) == sum(sum(x.drawn) for x in again)


def test_two_processes_on_one_output_refuse_each_other_and_a_kill_leaves_no_engine(made, served, monkeypatch):
    monkeypatch.delenv("VLLM_ENABLE_V1_MULTIPROCESSING")
    out = made / "shared.jsonl"
    slow = ["-k", 256, "--engine-option", "max_num_seqs=1"]  # hours of work for one at a time
    process = start_label(made, out, *slow, size=1)
    assert "another process" in label(made, out, "-k", 256, "--endpoint", served, ok=False)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children, "vLLM runs in processes of its own"
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=600)
    assert not alive


def test_a_dry_run_says_what_a_job_would_cost(made):
    said = label(made, made / "dry.jsonl", "--dry-run")
    labels = list(read_records(made / "labels.jsonl", StepLabels))
    rollouts = sum(sum(x.drawn) for x in labels)
    assert f"at most {rollouts:,} rollouts" in said
    assert not (made / "dry.jsonl").exists()


def test_stats_of_a_label_file(made, served):
    out = made / "checked.jsonl"
    label(made, out, "--strategy", "bisect", "--check-share", 1, "--endpoint", served)
    found = json.loads(prm("label", "stats", out, "--json"))
    assert found["chains"] == found["checked_chains"] == 48
    assert 0.8 < found["checked_agreement"] <= 1
    assert "By position" in prm("label", "stats", out)


def test_real_servers_one_of_them_killed_in_the_middle(made, served):
    with server(8152) as other:
        out = made / "served.jsonl"
        process = start_label(made, out, "--endpoint", served, "--endpoint", other)
        (victim,) = (p for p in psutil.process_iter(["cmdline"]) if "--port=8152" in (p.info["cmdline"] or ()))
        for one in [*victim.children(recursive=True), victim]:
            one.kill()
        assert process.wait(timeout=1200) == 0
    here, served = (list(read_records(path, StepLabels)) for path in (made / "labels.jsonl", out))
    assert [x.chain_id for x in served] == [x.chain_id for x in here]
    same = sum(a == b for a, b in zip(served, here, strict=True))
    assert same >= 0.8 * len(here), "the same seeds; a few differ by the last bits of a logit"


def test_ray_workers_with_their_own_vllm(made):
    out = made / "ray.jsonl"
    given = ["--model", POLICY, "--max-tokens", 128, "-k", 4, "--reproducible", "--out", out]
    assert begun("label", *files(made), *given, "--engine", "ray", "--workers", 1).wait() == 0
    here, found = (list(read_records(path, StepLabels)) for path in (made / "labels.jsonl", out))
    assert [x.chain_id for x in found] == [x.chain_id for x in here]
    assert sum(a == b for a, b in zip(found, here, strict=True)) >= 0.8 * len(here)


def test_every_prefix_is_drawn_k_times_and_the_last_step_never(made):
    chains = {c.id: c for c in read_records(made / "chains.jsonl", Chain)}
    labels = list(read_records(made / "labels.jsonl", StepLabels))
    assert {x.chain_id for x in labels} == set(chains)
    for item in labels:
        drawn = [sum(counts) for counts in zip(item.right, item.wrong, item.undecided, strict=True)]
        assert drawn == [4] * (len(chains[item.chain_id].steps) - 1) + [0]
        assert item.known[-1] == "answer"


def test_hard_labels_mostly_agree_with_the_exact_truth(made):
    prm("label", "quality", *files(made), "--labels", made / "labels.jsonl", "--out", made / "quality.json")
    assert json.loads((made / "quality.json").read_text())["agreement"] > 0.85


@pytest.mark.parametrize("objective", ["prm", "orm"])
def test_from_labels_to_a_choice(made, objective):
    labels = ["--labels", made / "labels.jsonl", "--base", POLICY, "--lr", 1e-4, "--batch-size", 8]
    scores, choices = made / f"{objective}.jsonl", made / f"{objective}.choices.jsonl"
    prm("train", "--objective", objective, *files(made), *labels, "--out", made / objective)
    prm("score", "--scorer", made / objective, *files(made), "--out", scores)
    prm("rerank", *files(made), "--scores", scores, "--out", choices)
    chains = {c.id: c for c in read_records(made / "chains.jsonl", Chain)}
    for item in read_records(scores, StepScores):
        assert len(item.scores) == (len(chains[item.chain_id].steps) if objective == "prm" else 1)
    assert len(rows(choices)) == 12
    said = prm(
        "eval", "best-of-n", *files(made), "-n", 4, "--scores", f"X={scores}", "--out", made / f"{objective}.bon.json"
    )
    assert "oracle" in said
    assert "majority" in said


@pytest.fixture(scope="module")
def search(made, served):
    """A search that a PRM guides, without its output."""
    train = ["train", "--objective", "prm", *files(made), "--labels", made / "labels.jsonl", "--base", POLICY]
    prm(*train, "--lr", 1e-4, "--batch-size", 8, "--out", made / "guide")
    job = ["--model", POLICY, "--problems", made / "problems.jsonl", "--max-tokens", 128, "--endpoint", served]
    return ["solve", *job, "--scorer", made / "guide", "--method", "rebase", "--reproducible"]


def test_a_killed_search_goes_on_and_nothing_is_drawn_or_scored_twice(made, search):
    out = made / "killed.solved.jsonl"
    command = [*search, "-n", 4, "--out", out]
    journal = out.with_name(out.name + ".search.jsonl")
    process = begun(*command)
    wait_for(journal, 5_000, process)
    process.kill()
    assert process.wait() != 0, "it was done before it could be killed"
    events = journal.read_bytes().rpartition(b"\n")[0].splitlines()
    journal.write_bytes(b"\n".join(events) + b'\n{"drawn": ["cut')  # the kill came in the middle of a line
    assert "other settings" in prm(*command, "--width", 8, ok=False)
    process = begun(*command)
    grown = []
    while process.poll() is None:
        with suppress(FileNotFoundError):
            grown = journal.read_bytes().splitlines()
        time.sleep(0.02)
    assert process.returncode == 0
    assert grown[: len(events)] == events
    done = [tuple(what[:2]) for line in grown[:-1] for kind, what in json.loads(line).items() if kind != "solved"]
    assert len(done) == len(set(done)), "drawn or scored twice"
    choices = rows(out.with_name(out.name + ".choices.jsonl"))
    assert [row["problem_id"] for row in choices] == [f"world-5-{p}" for p in range(12)]
    assert not journal.exists()


def test_search_goes_on_from_the_engines_own_tokens(made, search):
    """Chains grown step by step are scored as they are when they are whole, and no budget is passed."""
    out = made / "solved.jsonl"
    said = prm(*search, "-n", 4, "--budget-tokens", 220, "--out", out)
    assert "% right" in said
    chains = {c.id: c for c in read_records(out, Chain)}
    assert all(step.endswith("\n") for c in chains.values() for step in c.steps[:-1])
    choices = rows(out.with_name(out.name + ".choices.jsonl"))
    assert len(choices) == 12
    assert all(0 < row["generated"] <= 220 and row["scored"] > 0 for row in choices)
    prm("score", "--scorer", made / "guide", *files(made)[:2], "--chains", out, "--out", made / "again.jsonl")
    again = {x.chain_id: x.scores for x in read_records(made / "again.jsonl", StepScores)}
    grown = list(read_records(out.with_name(out.name + ".scores.jsonl"), StepScores))
    assert grown
    assert all(x.scores == pytest.approx(again[x.chain_id], abs=1e-4) for x in grown)


@needs_samples
def test_real_text_runs_to_the_end_and_what_cannot_be_labeled_is_counted(tmp_path, served):
    source = rows(SAMPLES / "gsm8k_candidates" / "gsm8k_bon16.jsonl")[:6]
    for row in source:
        row["candidates"] = row["candidates"][:2]
    source[0]["candidates"][0]["solution"] = ""
    source[1]["candidates"][0]["solution"] = "word " * 3000
    problems = [{"id": r["id"], "question": r["question"], "answer": str(r["gold"])} for r in source]
    problems[2]["answer"] = "\\frac{1}{"
    del problems[3]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(r) + "\n" for r in problems), encoding="utf-8")
    (tmp_path / "chains.jsonl").write_text("".join(json.dumps(r) + "\n" for r in source), encoding="utf-8")
    said = prm(
        *("label", "--model", POLICY, "--problems", tmp_path / "problems.jsonl", "--chains", tmp_path / "chains.jsonl"),
        *("-k", 2, "--max-tokens", 48, "--max-unusable", 0.5, "--endpoint", served),
        *("--out", tmp_path / "labels.jsonl"),
    )
    dropped = {r["id"]: r["reason"] for r in rows(tmp_path / "labels.jsonl.dropped.jsonl")}
    assert dropped[source[0]["id"] + "/0"] == "empty chain"
    assert dropped[source[1]["id"] + "/0"] == "chain longer than the model's context"
    assert dropped[source[2]["id"] + "/0"] == "gold answer that cannot be used"
    assert dropped[source[3]["id"] + "/0"] == "its problem is missing"
    assert "dropped (empty chain)" in said
    assert len(rows(tmp_path / "labels.jsonl")) == 6


@pytest.mark.parametrize("model", ["not-there/at/all", "."])
def test_a_model_directory_that_is_none_is_refused_before_work(tmp_path, model):
    prm("world", "--count", 3, "--out", tmp_path / "p.jsonl")
    said = prm("sample", "--model", model, "--problems", tmp_path / "p.jsonl", "--out", tmp_path / "c.jsonl", ok=False)
    assert "hint:" in said
    assert not (tmp_path / "c.jsonl").exists()

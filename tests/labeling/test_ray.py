"""A real Ray cluster of two workers on this machine; their engine is a server that answers at once or with a delay."""

import os
import signal
import threading
import time
from dataclasses import replace

import psutil
import pytest
import ray

from prm.benchmarks.perf.waiting_server import serve
from prm.data.files import write_records
from prm.data.records import Chain, Drop, Problem, Rollout, StepLabels
from prm.errors import EngineError, InputError
from prm.generation import ray_sampling
from prm.generation.choice import EngineChoice
from prm.generation.engine import Sampling
from prm.generation.ray_blocks import over_gpus
from prm.generation.sampling import sample
from prm.labeling import ray_labeling
from prm.labeling.allocation import Budget
from prm.labeling.job import label
from prm.labeling.labeler import Plan
from prm.labeling.setup import Setup

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]

PROBLEMS = {"p": Problem("p", "what is 2 + 2?", "4")}
CHAINS = [
    *(Chain(f"c{i}", "p", (*(f"step {k}\n" for k in range(i % 4)), "The answer is 9")) for i in range(30)),
    Chain("lost", "q", ("a",)),
]


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    yield
    ray.shutdown()


@pytest.fixture
def blocks_of_four(monkeypatch):
    monkeypatch.setattr(ray_labeling, "BLOCK", 4)


def setup(base_model, url):
    engine = EngineChoice(base_model, (url,), reproducible=True)
    return Setup(engine, plan=Plan("bisect", Budget(4)), sampling=Sampling(reproducible=True))


def worker_processes():
    return [p for p in psutil.process_iter(["cmdline"]) if "_Actor" in " ".join(p.info["cmdline"] or ())]


def parts(events):
    """Labels and drops in order, and rollouts sorted."""
    events = list(events)
    rollouts = sorted((e for e in events if isinstance(e, Rollout)), key=lambda r: (r.chain_id, r.step, r.draw))
    return [e for e in events if isinstance(e, StepLabels | Drop)], rollouts


@pytest.fixture
def files(tmp_path):
    write_records(tmp_path / "p.jsonl", PROBLEMS.values())
    write_records(tmp_path / "c.jsonl", CHAINS)
    write_records(tmp_path / "r.jsonl", [])
    return ray_labeling.JobFiles(tmp_path / "p.jsonl", tmp_path / "c.jsonl", "newline", tmp_path / "r.jsonl")


def alone(given):
    """The events of a single process."""
    with given.events(CHAINS, PROBLEMS, {}) as events:
        return parts(events)


def on_ray(given, files):
    return parts(ray_labeling.label_on_ray(given, files, 0, len(CHAINS), workers=2, gpus=0))


def test_two_workers_one_of_them_killed_do_what_one_process_does(cluster, blocks_of_four, base_model, files):
    with serve(delay=0.05) as server:
        given = setup(base_model, server.url)
        expected, killed = alone(given), []
        threading.Thread(target=kill_one, args=(killed, server), daemon=True).start()
        assert on_ray(given, files) == expected
        assert killed, "there was no worker to kill"


def kill_one(killed, server):
    before = len(server.asked)
    while len(server.asked) < before + 10:  # in the middle of the work
        time.sleep(0.01)
    victim = worker_processes()[0]
    os.kill(victim.pid, signal.SIGKILL)
    killed.append(victim.pid)


def test_a_resumed_job_begins_with_the_first_unlabeled_chain_and_repeats_no_draw(
    cluster, blocks_of_four, base_model, files
):
    """Nor are lines read that the job has begun to write meanwhile."""
    with serve() as server:
        given = setup(base_model, server.url)
        expected, rollouts = alone(given)
        write_records(files.rollouts, rollouts[: len(rollouts) // 2])
        begun = ray_labeling.label_on_ray(given, files, 13, len(CHAINS), workers=2, gpus=0)
        first = next(begun)
        with files.rollouts.open("a") as growing:
            growing.write('{"schema": "rollout/1", "chain_')
        labels, made = parts([first, *begun])
        assert labels == expected[13:]
        left = {label.chain_id for label in labels if isinstance(label, StepLabels)}
        assert made == [rollout for rollout in rollouts[len(rollouts) // 2 :] if rollout.chain_id in left]


def test_rows_named_after_a_link_keep_their_name(cluster, base_model, tmp_path):
    """Files of the Hub's cache are links to blobs whose names are hashes."""
    (tmp_path / "blob").write_text('{"question": "what is 2 + 2?", "answer": "4"}\n')
    (tmp_path / "train.jsonl").symlink_to(tmp_path / "blob")
    chains = [Chain("a", "train-1", ("First.\n", "The answer is 9"))]
    with serve() as server:
        settings = {"model": base_model, "endpoints": [server.url], "ray_workers": 1, "reproducible": True}
        assert [row.chain_id for row in label(tmp_path / "train.jsonl", chains, keep_going=True, **settings)] == ["a"]
        assert len(sample(tmp_path / "train.jsonl", n=2, **settings)) == 2


def test_a_worker_that_cannot_read_the_files_says_so(cluster, base_model, files):
    with serve() as server:
        elsewhere = replace(files, chains=files.chains.with_name("lost.jsonl"))
        with pytest.raises(EngineError, match=r"lost\.jsonl: there is no such file") as caught:
            on_ray(setup(base_model, server.url), elsewhere)
        assert "all machines must see" in caught.value.hint


def test_chains_are_sampled_as_in_one_process(cluster, monkeypatch, base_model, tmp_path):
    monkeypatch.setattr(ray_sampling, "BLOCK", 3)
    problems = [Problem(f"p{i}", f"what is 2 + {i}?", "4") for i in range(10)] + [Problem("long", "why? " * 400)]
    with serve() as server:
        settings = {"model": base_model, "n": 3, "endpoints": [server.url], "reproducible": True}
        alone = sample(problems, **settings)
        spread = sample(problems, ray_workers=2, **settings)
        assert list(spread) == list(alone)
        assert [drop.id for drop in spread.drops] == [drop.id for drop in alone.drops] == ["long"]


def test_the_engine_of_a_worker_uses_all_its_gpus():
    choice = EngineChoice("m", options={"max_model_len": 64})
    assert over_gpus(choice, 4).options == {
        "tensor_parallel_size": 4, "distributed_executor_backend": "mp", "max_model_len": 64
    }  # fmt: skip
    assert over_gpus(choice, 0.5) == over_gpus(choice, 1) == choice
    assert over_gpus(EngineChoice("m", ("http://host/v1",)), 4).options == {}
    assert over_gpus(EngineChoice("m", options={"tensor_parallel_size": 2}), 4).options["tensor_parallel_size"] == 2
    with pytest.raises(InputError, match="ray_gpus"):
        over_gpus(choice, 1.5)

"""A real Ray cluster of two workers on this machine; their engine is a server that answers at once or with a delay."""

import os
import signal
import threading
import time

import psutil
import pytest
import ray

from prm.benchmarks.perf.waiting_server import serve
from prm.data.records import Chain, Drop, Problem, Rollout, StepLabels
from prm.generation.choice import EngineChoice
from prm.generation.engine import Sampling
from prm.labeling import ray_labeling
from prm.labeling.allocation import Budget
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
    return [p for p in psutil.process_iter(["cmdline"]) if "_Worker" in " ".join(p.info["cmdline"] or ())]


def parts(events):
    """Labels and drops in order, and rollouts sorted."""
    events = list(events)
    rollouts = sorted((e for e in events if isinstance(e, Rollout)), key=lambda r: (r.chain_id, r.step, r.draw))
    return [e for e in events if isinstance(e, StepLabels | Drop)], rollouts


def alone(given):
    """The events of a single process."""
    with given.events(CHAINS, PROBLEMS, {}) as events:
        return parts(events)


@pytest.mark.parametrize("is_killed", [False, True], ids=["", "one worker killed"])
def test_two_workers_do_what_one_process_does(cluster, blocks_of_four, base_model, is_killed):
    with serve(delay=0.05) as server:
        given = setup(base_model, server.url)
        expected = alone(given)
        if is_killed:
            killed = []
            threading.Thread(target=kill_one, args=(killed, server), daemon=True).start()
        found = parts(ray_labeling.label_on_ray(given, CHAINS, PROBLEMS, {}, workers=2))
        assert found == expected
        assert not is_killed or killed, "there was no worker to kill"


def kill_one(killed, server):
    before = len(server.asked)
    while len(server.asked) < before + 10:  # in the middle of the work
        time.sleep(0.01)
    victim = worker_processes()[0]
    os.kill(victim.pid, signal.SIGKILL)
    killed.append(victim.pid)


def test_earlier_draws_are_not_repeated(cluster, blocks_of_four, base_model):
    with serve() as server:
        given = setup(base_model, server.url)
        expected, rollouts = alone(given)
        earlier = {}
        for rollout in rollouts[: len(rollouts) // 2]:
            earlier.setdefault(rollout.chain_id, []).append(rollout)
        labels, made = parts(ray_labeling.label_on_ray(given, CHAINS, PROBLEMS, earlier, workers=2))
        assert labels == expected
        assert made == rollouts[len(rollouts) // 2 :]

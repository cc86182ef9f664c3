"""A real Ray cluster of two workers on this machine, one of them killed in the middle."""

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import ray
import trees
from ray import cloudpickle
from trees import TreeEngine, TreeScorer

from prm import Problem, write_records
from prm.generation.engine import Sampling
from prm.models.checkpoint import load_tokenizer
from prm.models.rendering import Renderer
from prm.search import ray_searching
from prm.search.ending import Solved
from prm.search.plan import Plan
from prm.search.setup import Setup

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]

PROBLEMS = [Problem(f"p{i}", f"How many are {i}?") for i in range(12)]


class SlowEngine(TreeEngine):
    """Says in a file that it is at work."""

    def __init__(self, tokenizer, log):
        super().__init__(tokenizer)
        self.log = log

    def completion(self, request, i, sampling):
        with Path(self.log).open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.002)
        return super().completion(request, i, sampling)

    def close(self):
        pass


@dataclass(frozen=True)
class Choice:
    """In place of `EngineChoice`."""

    model: str
    log: str
    endpoints: tuple = ()

    def start(self):
        return SlowEngine(load_tokenizer(self.model), self.log)

    def renderer(self, asked):
        return Renderer(load_tokenizer(self.model), separator=None)


@pytest.fixture(autouse=True)
def by_value():
    """Workers of a cluster that an earlier test began do not find these modules."""
    modules = (sys.modules[__name__], trees)
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    yield
    for module in modules:
        cloudpickle.unregister_pickle_by_value(module)


def kill_one(log, killed):
    while not log.exists() or log.stat().st_size < 400:
        time.sleep(0.01)
    victim = int(log.read_text().split()[0])
    assert psutil.pid_exists(victim)
    os.kill(victim, signal.SIGKILL)
    killed.append(victim)


def test_two_workers_one_of_them_killed_do_what_one_process_does(base_model, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_searching, "BLOCK", 3)
    write_records(tmp_path / "p.jsonl", PROBLEMS)
    log, killed = tmp_path / "log", []
    plan = Plan(n=8, max_tokens=400)
    setup = Setup(Choice(base_model, str(tmp_path / "alone")), "rebase", plan, Sampling(max_tokens=400), TreeScorer())
    with setup.searcher() as searcher:
        expected = {event.problem_id: event for event in searcher.run(PROBLEMS) if isinstance(event, Solved)}
    on_workers = Setup(Choice(base_model, str(log)), "rebase", plan, Sampling(max_tokens=400), TreeScorer())
    here = {"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}}
    ray.init(num_cpus=2, log_to_driver=False, logging_level="ERROR", include_dashboard=False, runtime_env=here)
    try:
        threading.Thread(target=kill_one, args=(log, killed), daemon=True).start()
        ids = [problem.id for problem in PROBLEMS]
        found = list(ray_searching.search_on_ray(on_workers, tmp_path / "p.jsonl", ids, workers=2, gpus=0))
    finally:
        ray.shutdown()
    assert killed
    assert {event.problem_id: event for event in found} == expected

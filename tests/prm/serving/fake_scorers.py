"""Scorers of a few lines for a server, and servers that run in processes of their own.

As a script, it serves: `python fake_scorers.py NAME`, or JSON in place of a name, with the arguments of `prm.serve`.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from prm.errors import ModelError
from prm.scoring.scorer import Prepared, PreparingScorer, Refusal, Scorer


def number(text):
    """A score in [0, 1) that tells one text from another."""
    return sum(ord(c) * (place + 1) for place, c in enumerate(text)) % 9973 / 9973


class Echo(PreparingScorer):
    """A step's score comes from the problem and the step alone; some steps do more."""

    kind = "prm"
    name = "echo"
    threshold = 0.5
    aggregator = "min"
    tokens_per_pass = 4096

    def prepare(self, problems, chains):
        return [self._prepared(p, list(c)) for p, c in zip(problems, chains, strict=True)]

    def _prepared(self, problem, steps):
        if "TOO LONG" in "".join(steps):
            return Refusal("longer than the model's context", "9 tokens", "drop the chain")
        return Prepared((str(problem), steps), len(str(problem)) + sum(map(len, steps)) + 1)

    def score_prepared(self, rows):
        text = "".join(step for _, steps in rows for step in steps)
        if found := re.search(r"SLEEP ([\d.]+)", text):
            time.sleep(float(found[1]))
        if found := re.search(r"UNTIL (\S+)", text):
            while not Path(found[1]).exists():
                time.sleep(0.005)
        if "DIE" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if "RAISE" in text:
            raise ValueError("a fault of the scorer")
        return [tuple(number(problem + step) for step in steps) for problem, steps in rows]


class Whole(Scorer):
    """An ORM without lengths."""

    kind = "orm"
    name = "whole"

    def score_each(self, problems, chains):
        return [(10 * number(str(p) + "".join(c)) - 5,) for p, c in zip(problems, chains, strict=True)]


def _refuse():
    raise ModelError("there is no such model", "give another")


class Unloadable(Whole):
    """A scorer that cannot be had in another process."""

    def __reduce__(self):
        return _refuse, ()


def settings(name):
    from prm.serving.limits import Limits

    tight = Limits(body=20_000, chains=8, waiting=8, steps=5, characters=2_000, seconds=3)
    return {
        "usual": {"scorers": {"prm": Echo(), "orm": Whole()}},
        "tight": {"scorers": {"prm": Echo()}, "limits": tight, "token": "secret"},
        "checker": {"scorers": None},
    }[name]


@contextmanager
def serving(*command):
    """Run a server, and yield its address and its process once it says that it is ready."""
    places = os.pathsep.join([str(Path(__file__).parents[3]), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, *command], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"serving .* at (\S+)", line):
                break
        else:
            raise AssertionError("".join(said))
        yield found[1], process
    finally:
        process.terminate()
        process.stderr.read()
        process.stderr.close()
        process.wait()


def serving_fakes(name):
    return serving(__file__, name)


if __name__ == "__main__":
    import fake_scorers  # so that scorers are pickled under a name that other processes know

    import prm

    sys.stderr.reconfigure(line_buffering=True)
    given = sys.argv[1]
    prm.serve(**(json.loads(given) if given[0] == "{" else fake_scorers.settings(given)), port=0)

"""A language model and a scorer that are functions of the text before them: every tree that they span is known."""

import hashlib
import math

from prm import Refusal, Scorer
from prm.generation.engine import Completion, Request

END = object()
PROBLEM_TEXT = "How many?"


def number(*parts):
    """A number from 0 to 999 that looks random."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=4).digest(), "big") % 1000


def line(problem, before, draw):
    """The `draw`-th line after the lines `before`; a chain has 2 to 6 lines, and the last one has its answer."""
    depth, luck = before.count("\n"), number(problem, before, draw)
    if depth >= 5 or (depth >= 1 and luck % 3 == 0):
        return f"{draw:02d} so the answer is {luck % 4}"
    return f"{draw:02d} then {luck}\n"


def is_last(text):
    return "answer" in text.rpartition("\n")[2]


def score(steps):
    """The score of the last of these steps, from 0 to 1; no two are alike."""
    text = "".join(steps)
    return (number("score", text) + number("more", text) / 1000) / 1001


class TreeScorer(Scorer):
    kind = "prm"
    name = "tree"
    threshold = 0.3

    def __init__(self, refuses=None):
        self.refuses, self.batches = refuses, []

    def score_each(self, problems, chains):
        self.batches.append(len(chains))
        return [
            Refusal("not to be read")
            if self.refuses and self.refuses in "".join(steps)
            else tuple(score(steps[: i + 1]) for i in range(len(steps)))
            for steps in chains
        ]


class TreeEngine:
    """Answers up to `room` requests at a time, the first or the last first; stops, cuts and counts as vLLM does."""

    max_length = 10_000

    def __init__(self, tokenizer, *, room=7, backwards=False, dies_after=math.inf):
        self.tokenizer, self.room, self.backwards, self.dies_after = tokenizer, room, backwards, dies_after
        self.asked = []

    def stream(self, requests, sampling):
        waiting = []
        while True:
            while len(waiting) < self.room and isinstance(request := next(requests, END), Request):
                waiting.append(request)
            if not waiting:
                assert request is END, "the stream waits for a result, and there is none to come"
                return
            request = waiting.pop(-1 if self.backwards else 0)
            if len(self.asked) >= self.dies_after:
                raise KeyboardInterrupt
            self.asked.append(request)
            yield request, [self.completion(request, i, sampling) for i in range(request.n)]

    def completion(self, request, i, sampling):
        prompt = self.tokenizer.decode(request.prompt_ids, skip_special_tokens=True)
        problem, _, text = prompt.partition("\n")
        ids, spelled = [], ""
        most = sampling.max_tokens if request.max_tokens is None else request.max_tokens
        for token in self.tokens(problem, text, request.first + i):
            if len(ids) == most:
                return Completion(spelled, len(ids), "length", tuple(ids))
            ids.append(token)
            if token == self.tokenizer.eos_token_id:
                break
            spelled = self.tokenizer.decode(ids)
            if stop := next((stop for stop in request.stop if stop in spelled), ""):
                return Completion(spelled[: spelled.index(stop)], len(ids), "stop", tuple(ids), stop)
        return Completion(spelled, len(ids), "stop", tuple(ids))

    def tokens(self, problem, text, draw):
        """The tokens of a chain from a text on, and the end: first the line that the draw says, or the one begun."""
        lines, _, begun = text.rpartition("\n")
        whole = f"{lines}\n" if lines else ""
        if begun:
            draw = next(d for d in range(100) if line(problem, whole, d).startswith(begun))
        while not is_last(whole):
            new = line(problem, whole, draw)
            yield from self.tokenizer(new[len(begun) :], add_special_tokens=False)["input_ids"]
            whole, begun, draw = whole + new, "", 0
        yield self.tokenizer.eos_token_id

"""Sampling and labelling through an engine of ten lines, with counts worked out by hand."""

import pytest

from labeling.allocation import STRATEGIES
from labeling.engine import Completion, Request, Sampling, draw_seed
from labeling.label import Labeler
from labeling.sampling import sample_chains
from prm.drops import Drops
from prm.records import Chain, Problem
from prm.rendering import Renderer

END = object()
SEED = 1352587838  # fixed: a job that is run again must draw the same
PROBLEM = Problem("p", "what is 2 + 2?", "4")
RIGHT = Completion("The answer is 4", 3, "stop")
WRONG = Completion("The answer is 5", 3, "stop")
CUT = Completion("The answer is 4", 9, "length")
SILENT = Completion("I do not know.", 5, "stop")


class FakeEngine:
    """Keeps up to `room` requests open and answers each by `reply(request)`, the first or the last first."""

    def __init__(self, reply, *, room=3, backwards=False, max_length=256):
        self.reply, self.room, self.backwards, self.max_length, self.asked = reply, room, backwards, max_length, []

    def stream(self, requests, sampling):
        waiting = []
        while True:
            while len(waiting) < self.room and isinstance(request := next(requests, END), Request):
                waiting.append(request)
                self.asked.append(request)
            if not waiting:
                assert request is END, "the stream waits for a result, and there is none to come"
                return
            request = waiting.pop(-1 if self.backwards else 0)
            yield request, self.reply(request)


def step_of(request):
    return int(request.key.rpartition("@")[2].partition("+")[0])


def reaches(last):
    """Rollouts succeed from all steps up to `last`."""
    return lambda request: [RIGHT if step_of(request) <= last else WRONG] * request.n


def chain(identity="c", steps=5, answer="9", **options):
    return Chain(identity, "p", (*(f"step {i}\n" for i in range(steps - 1)), f"The answer is {answer}"), **options)


@pytest.fixture
def renderer(tokenizer):
    return Renderer(tokenizer, separator=None)


def run(engine, renderer, chains, strategy, rollouts=8, problems=None):
    labeler = Labeler(engine, renderer, Drops(), strategy, rollouts)
    return labeler, list(labeler.labels(chains, problems or {"p": PROBLEM}))


@pytest.mark.parametrize("backwards", [False, True])
def test_fixed_by_hand(renderer, backwards):
    engine = FakeEngine(reaches(1), backwards=backwards)
    labeler, (labels,) = run(engine, renderer, [chain()], "fixed", 4)
    assert labels.right == (4, 4, 0, 0, 0)
    assert labels.wrong == (0, 0, 4, 4, 0)
    assert labels.known == ("drawn",) * 4 + ("answer",)
    assert (labels.outcome, labels.hard) == ("incorrect", (True, True, False, False, False))
    assert (labeler.drawn, labeler.tokens, labeler.undecided) == (16, 48, 0)


@pytest.mark.parametrize("backwards", [False, True])
def test_bisect_by_hand(renderer, backwards):
    """Step 1 succeeds in its first bite of 2; step 2 fails in bites of 2, 2 and 4."""
    engine = FakeEngine(reaches(1), backwards=backwards)
    labeler, (labels,) = run(engine, renderer, [chain()], "bisect")
    assert [(r.key, r.n) for r in engine.asked] == [("c@1+0", 2), ("c@2+0", 2), ("c@2+2", 2), ("c@2+4", 4)]
    assert labels.right == (0, 2, 0, 0, 0)
    assert labels.wrong == (0, 0, 8, 0, 0)
    assert labels.known == ("implied", "drawn", "drawn", "implied", "answer")
    assert labels.hard == (True, True, False, False, False)
    assert labeler.drawn == 10


@pytest.mark.parametrize("last", range(-1, 7))
@pytest.mark.parametrize("rollouts", [1, 3, 8])
def test_bisect_agrees_with_fixed_and_is_never_dearer(renderer, last, rollouts):
    found = {s: run(FakeEngine(reaches(last)), renderer, [chain(steps=8)], s, rollouts) for s in STRATEGIES}
    (cheap, (by_bisect,)), (dear, (by_fixed,)) = found["bisect"], found["fixed"]
    assert by_bisect.hard == by_fixed.hard == tuple(i <= last for i in range(8))
    assert cheap.drawn <= 3 * rollouts < dear.drawn == 7 * rollouts


def test_bisect_needs_no_draw_for_a_right_chain(renderer):
    engine = FakeEngine(reaches(9))
    labeler, labels = run(engine, renderer, [chain("a", answer="4"), chain("b", answer="4.0")], "bisect")
    assert engine.asked == []
    assert [(x.chain_id, x.hard) for x in labels] == [("a", (True,) * 5), ("b", (True,) * 5)]
    assert labeler.drawn == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_engine_that_gives_nothing_is_not_asked_for_ever(renderer, strategy):
    _, (labels,) = run(FakeEngine(lambda request: []), renderer, [chain()], strategy)
    assert labels.hard == (None,) * 4 + (False,)


def test_an_engine_that_gives_fewer_is_asked_for_the_rest(renderer):
    engine = FakeEngine(lambda request: [WRONG])
    _, (labels,) = run(engine, renderer, [chain(steps=2)], "bisect", 4)
    assert labels.wrong == (4, 0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_step_needs_no_draw(renderer, strategy):
    _, (labels,) = run(FakeEngine(reaches(9)), renderer, [chain(steps=1)], strategy)
    assert (labels.known, labels.hard, labels.soft) == (("answer",), (False,), (0.0,))


@pytest.mark.parametrize("completion", [CUT, SILENT], ids=["cut", "no answer"])
def test_an_undecided_rollout_is_no_evidence(renderer, completion):
    engine = FakeEngine(lambda request: [completion] * request.n)
    numbers = Chain("c", "p", ("2 + 2 = 4\n", "so 9\n", "The answer is 9"))  # of the prefix, not of the rollout
    labeler, (labels,) = run(engine, renderer, [numbers], "fixed", 4)
    assert labels.undecided == (4, 4, 0)
    assert labels.right == labels.wrong == (0, 0, 0)
    assert labels.hard == (None, None, False)
    assert labeler.undecided == labeler.drawn == 8


def test_a_chain_cut_by_length_is_undecided_whatever_it_says(renderer):
    _, (labels,) = run(FakeEngine(reaches(-1)), renderer, [chain(steps=2, answer="4", finish="length")], "fixed", 2)
    assert labels.outcome == "no_answer"


def test_a_rollout_continues_the_chains_own_text(renderer):
    engine = FakeEngine(reaches(0))
    run(engine, renderer, [chain(steps=3)], "fixed", 1)
    read = [renderer.tokenizer.decode(list(r.prompt_ids), skip_special_tokens=True) for r in engine.asked]
    assert read == [f"{PROBLEM.text}\nstep 0\n", f"{PROBLEM.text}\nstep 0\nstep 1\n"]


def test_what_cannot_be_labelled_is_dropped_with_its_reason(renderer):
    problems = {"p": PROBLEM, "open": Problem("open", "?")}
    chains = [
        chain("good"),
        Chain("lost", "q", ("a",)),
        Chain("open", "open", ("a",)),
        Chain("empty", "p", ()),
        chain("long", steps=60),
    ]
    labeler, labels = run(FakeEngine(reaches(1)), renderer, chains, "fixed", 1, problems)
    assert [x.chain_id for x in labels] == ["good"]
    assert set(labeler.drops.by_reason()) == {
        "its problem is missing",
        "its problem has no gold answer",
        "empty chain",
        "chain longer than the model's context",
    }


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("backwards", [False, True])
def test_many_chains_are_labelled_once_each_and_alike_in_any_order(renderer, strategy, backwards):
    chains = [chain(f"c@{i}", steps=1 + i % 6) for i in range(20)]
    engine = FakeEngine(reaches(2), room=7, backwards=backwards)
    _, labels = run(engine, renderer, chains, strategy, 4)
    assert sorted(x.chain_id for x in labels) == sorted(c.id for c in chains)
    assert len({r.key for r in engine.asked}) == len(engine.asked)
    for item in labels:
        assert item.hard == (*(i <= 2 for i in range(len(item.right) - 1)), False)


def test_chains_are_read_as_the_engine_has_room(renderer):
    read = []
    source = (read.append(i) or chain(f"c{i}", steps=3) for i in range(100))
    labeler = Labeler(FakeEngine(reaches(0), room=2), renderer, Drops(), "fixed", 2)
    labels = labeler.labels(source, {"p": PROBLEM})
    next(labels)
    assert len(read) < 6
    assert len(list(labels)) == 99


@pytest.mark.parametrize("backwards", [False, True])
def test_sampled_chains_belong_to_their_problem(renderer, backwards):
    problems = [Problem(f"p{i}", f"what is {i}?") for i in range(5)] + [Problem("long", "12 " * 400)]

    def reply(request):
        return [Completion(f"It is {request.key}\nso {i}", 4, "stop" if i else "length") for i in range(request.n)]

    drops = Drops()
    engine = FakeEngine(reply, backwards=backwards)
    groups = list(sample_chains(problems, engine, renderer, drops, n=2, sampling=Sampling()))
    found = {c.id: c for group in groups for c in group}
    assert len(groups) == 5
    assert set(found) == {f"p{i}/{k}" for i in range(5) for k in range(2)}
    assert found["p3/1"] == Chain("p3/1", "p3", ("It is p3\n", "so 1"), "stop")
    assert found["p3/0"].finish == "length"
    assert drops.by_reason() == {"problem longer than the model's context": 1}
    assert engine.asked[0].prompt_ids == tuple(renderer.prompt_ids("what is 0?"))


def test_draw_seeds_are_stable_and_differ():
    assert draw_seed(0, "c@1+0") == draw_seed(0, "c@1+0") == SEED
    seeds = {draw_seed(s, f"c@{k}+0") for s in range(3) for k in range(300)}
    assert len(seeds) == 900
    assert all(0 <= s < 2**31 for s in seeds)


@pytest.mark.parametrize("options", [{"temperature": 0}, {"top_p": 0}, {"top_p": 1.1}, {"max_tokens": 0}])
def test_impossible_sampling_is_refused(options):
    with pytest.raises(ValueError, match="temperature must be above 0"):
        Sampling(**options)

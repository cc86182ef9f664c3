"""Sampling and labeling through a ten-line engine, with counts worked out by hand."""

import time
from functools import partial

import numpy as np
import pytest

from prm.data.drops import Drops
from prm.data.records import Chain, Drop, Problem, Rollout, StepLabels
from prm.errors import InputError
from prm.generation.engine import Completion, Request, Sampling, draw_seed
from prm.generation.sampling import sample_chains
from prm.labeling import labeler as label
from prm.labeling.allocation import STRATEGIES, Budget, most_rollouts
from prm.labeling.estimate import estimate
from prm.labeling.judging import outcomes, unusable
from prm.labeling.labeler import Labeler, Plan
from prm.labeling.tally import Tally
from prm.models.rendering import Renderer
from prm.scoring.checking import job_checker
from prm.statistics.pooling import pooled_intervals
from prm.verifiers import Outcome, check
from prm.verifiers.checkers import RULES
from prm.verifiers.extract import end_of_answer

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
    return int(request.key.rpartition("@")[2])


def reaches(last):
    """Rollouts succeed from all steps up to `last`."""
    return lambda request: [RIGHT if step_of(request) <= last else WRONG] * request.n


def chain(identity="c", steps=5, answer="9", **options):
    return Chain(identity, "p", (*(f"step {i}\n" for i in range(steps - 1)), f"The answer is {answer}"), **options)


@pytest.fixture
def renderer(tokenizer):
    return Renderer(tokenizer, separator=None)


SEEDED = Sampling(reproducible=True)


def run(engine, renderer, chains, strategy, rollouts=8, problems=None, earlier=None, check_share=0.0, sampling=SEEDED):
    """Label chains; return the tally, the labels and all events."""
    plan, tally = Plan(strategy, Budget(rollouts), check_share), Tally(rollouts)
    events = list(Labeler(engine, renderer, plan, sampling).run(chains, problems or {"p": PROBLEM}, earlier))
    for event in events:
        tally.add(event)
    return tally, [e for e in events if isinstance(e, StepLabels)], events


@pytest.mark.parametrize("backwards", [False, True])
def test_fixed_by_hand(renderer, backwards):
    engine = FakeEngine(reaches(1), backwards=backwards)
    tally, (labels,), _ = run(engine, renderer, [chain()], "fixed", 4)
    assert labels.right == (4, 4, 0, 0, 0)
    assert labels.wrong == (0, 0, 4, 4, 0)
    assert labels.known == ("drawn",) * 4 + ("answer",)
    assert (labels.outcome, labels.hard) == ("incorrect", (True, True, False, False, False))
    assert (tally.rollouts, tally.tokens, tally.undecided.total()) == (16, 48, 0)


@pytest.mark.parametrize("backwards", [False, True])
def test_bisect_by_hand(renderer, backwards):
    """Step 1 succeeds in its first batch of 2; step 2 fails in batches of 2, 2 and 4."""
    engine = FakeEngine(reaches(1), backwards=backwards)
    tally, (labels,), _ = run(engine, renderer, [chain()], "bisect")
    assert [(r.id, r.n) for r in engine.asked] == [("c@1+0", 2), ("c@2+0", 2), ("c@2+2", 2), ("c@2+4", 4)]
    assert labels.right == (0, 2, 0, 0, 0)
    assert labels.wrong == (0, 0, 8, 0, 0)
    assert labels.known == ("later-success", "drawn", "drawn", "earlier-failure", "answer")
    assert labels.hard == (True, True, False, False, False)
    assert tally.rollouts == 10


@pytest.mark.parametrize("last", range(-1, 7))
@pytest.mark.parametrize("rollouts", [1, 3, 8])
def test_all_strategies_agree_and_none_exceeds_its_bound(renderer, last, rollouts):
    found = {s: run(FakeEngine(reaches(last)), renderer, [chain(steps=8)], s, rollouts) for s in STRATEGIES}
    for name, (tally, (labels,), _) in found.items():
        assert labels.hard == tuple(i <= last for i in range(8)), name
        assert tally.rollouts <= most_rollouts(name, 8, False, Budget(rollouts)), name
    assert found["fixed"][0].rollouts == 7 * rollouts
    assert found["bisect"][0].rollouts <= 3 * rollouts


@pytest.mark.parametrize("last", [-1, 0, 2, 3])
@pytest.mark.parametrize("strategy", ["bisect", "first-success"])
@pytest.mark.parametrize("backwards", [False, True])
def test_at_the_end_of_a_job_the_rest_of_a_prefix_is_drawn_ahead(renderer, strategy, last, backwards):
    seeded, ahead = FakeEngine(reaches(last), backwards=backwards), FakeEngine(reaches(last), backwards=backwards)
    chains = [chain(f"c{i}") for i in range(4)]
    plain, expected, _ = run(seeded, renderer, chains, strategy)
    tally, labels, events = run(ahead, renderer, chains, strategy, sampling=Sampling())
    assert [row.hard for row in labels] == [row.hard for row in expected]
    assert tally.rollouts >= plain.rollouts
    drawn = [(e.chain_id, e.step, e.draw) for e in events if isinstance(e, Rollout)]
    assert len(set(drawn)) == len(drawn)
    assert all(sum(counts) <= 8 for row in labels for counts in zip(row.right, row.wrong, row.undecided, strict=True))
    assert (6, 2) in [(r.n, r.first) for r in ahead.asked], "what is left of eight after the first two"
    assert (6, 2) not in [(r.n, r.first) for r in seeded.asked]


def test_nothing_is_drawn_ahead_while_there_is_other_work(renderer):
    engine = FakeEngine(reaches(-1), room=2)
    run(engine, renderer, [chain(f"c{i}") for i in range(50)], "bisect", sampling=Sampling())
    assert all(request.n <= 4 for request in engine.asked[:50]), "2, 2 and 4 rollouts, as the strategy has it"


def test_first_success_goes_back_from_the_end(renderer):
    """Steps 3 and 2 fail in batches of 2, 2 and 4; step 1 succeeds in its first batch, so step 0 needs none."""
    engine = FakeEngine(reaches(1))
    _, (labels,), _ = run(engine, renderer, [chain()], "first-success")
    assert labels.known == ("later-success", "drawn", "drawn", "drawn", "answer")
    assert (labels.right, labels.wrong) == ((0, 2, 0, 0, 0), (0, 0, 8, 8, 0))
    assert labels.hard == (True, True, False, False, False)


def test_adaptive_draws_where_the_interval_is_wide(renderer):
    """Step 0 always succeeds and step 2 never: few draws. Every other rollout of step 1 succeeds: up to K."""

    def reply(request):
        kinds = {0: [RIGHT], 1: [RIGHT, WRONG], 2: [WRONG]}[step_of(request)]
        return [kinds[(request.first + i) % len(kinds)] for i in range(request.n)]

    _, (labels,), _ = run(FakeEngine(reply), renderer, [chain(steps=4)], "adaptive", 32)
    intervals = pooled_intervals(labels.right[:3], labels.wrong[:3])
    assert all(high - low <= 0.35 for low, high in intervals)
    assert labels.soft == (1.0, pytest.approx(0.5, abs=0.05), 0.0, 0.0)
    assert labels.drawn[0] == labels.drawn[2] <= 10
    assert 15 <= labels.drawn[1] <= 32
    _, (labels,), _ = run(FakeEngine(reply), renderer, [chain(steps=4)], "adaptive", 10)
    assert labels.drawn[1] == 10, "not more than the budget"
    _, (labels,), _ = run(FakeEngine(reply), renderer, [chain(steps=1)], "adaptive", 10)
    assert labels.drawn == (0,)


def test_a_checked_chain_is_drawn_from_every_prefix_and_keeps_both(renderer):
    """Step 3 succeeds where step 1 and 2 do not: what `bisect` assumes does not hold, and the check shows it."""
    engine = FakeEngine(lambda r: [RIGHT if step_of(r) in (0, 3) else WRONG] * r.n)
    _, (labels,), _ = run(engine, renderer, [chain(steps=6)], "bisect", 4, check_share=1.0)
    assert [r + w for r, w in zip(labels.right, labels.wrong, strict=True)] == [4] * 5 + [0]
    assert labels.unchecked == (True, False, False, False, False, False), "bisect asks step 2, then 0 and 1"
    assert labels.hard == (True, True, True, True, False, False)


def test_no_chain_is_checked_by_default(renderer):
    _, (labels,), _ = run(FakeEngine(reaches(0)), renderer, [chain()], "bisect")
    assert labels.unchecked is None


def test_bisect_needs_no_draw_for_a_right_chain(renderer):
    engine = FakeEngine(reaches(9))
    tally, labels, _ = run(engine, renderer, [chain("a", answer="4"), chain("b", answer="4.0")], "bisect")
    assert engine.asked == []
    assert [(x.chain_id, x.hard) for x in labels] == [("a", (True,) * 5), ("b", (True,) * 5)]
    assert tally.rollouts == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_engine_that_gives_nothing_is_not_asked_forever(renderer, strategy):
    _, (labels,), _ = run(FakeEngine(lambda request: []), renderer, [chain()], strategy)
    assert labels.hard == (None,) * 4 + (False,)


def values(*shares, problem=1.0):
    """The first rollouts of each prefix succeed, in this share; `problem`: those of the bare problem."""

    def reply(request):
        right = round((problem, *shares)[step_of(request) + 1] * request.n)
        return [RIGHT] * right + [WRONG] * (request.n - right)

    return reply


def test_rollouts_from_the_bare_problem_begin_a_chain(renderer):
    engine, plan = FakeEngine(values(1, 0.5, problem=0.75)), Plan("fixed", Budget(4, from_problem=8))
    events = list(Labeler(engine, renderer, plan, SEEDED).run([chain(steps=3)], {"p": PROBLEM}))
    asked = [(r.key, r.n) for r in engine.asked]
    assert asked == [("c@-1", 8), ("c@0", 4), ("c@1", 4)]
    read = renderer.tokenizer.decode(list(engine.asked[0].prompt_ids), skip_special_tokens=True)
    assert read == f"{PROBLEM.text}\n"
    (labels,) = (e for e in events if isinstance(e, StepLabels))
    assert (labels.start, labels.right, labels.problem_value) == ((6, 2, 0), (4, 2, 0), 0.75)
    assert labels.progress == (0.25, -0.5, -0.5), "the last step has the value of the chain's own answer, 0"
    assert {e.step for e in events if isinstance(e, Rollout)} == {-1, 0, 1}


def test_rollouts_from_the_bare_problem_are_not_drawn_again_or_ahead(renderer):
    plan = Plan("bisect", Budget(4, from_problem=2))
    first = list(Labeler(FakeEngine(values(0, 0)), renderer, plan).run([chain(steps=3)], {"p": PROBLEM}))
    rollouts = [e for e in first if isinstance(e, Rollout)]
    assert [(r.step, r.draw) for r in rollouts if r.step == -1] == [(-1, 0), (-1, 1)]
    again = FakeEngine(values(0, 0))
    events = list(Labeler(again, renderer, plan).run([chain(steps=3)], {"p": PROBLEM}, {"c": rollouts}))
    assert not again.asked
    assert events == first[-1:]


@pytest.mark.parametrize(
    ("problem", "shares", "probes", "relative"),
    [
        (0.5, (0.5, 0.25, 0.125, 0.125, 0, 0, 0), [3, 1, 2], (True, True, *(False,) * 6)),
        (1.0, (1, 1, 1, 1, 1, 1, 0.25), [4, 5, 6], (*(True,) * 6, False, False)),
        (0.125, (0.125, 0, 0, 0, 0, 0, 0), [2, 0, 1], (True, *(False,) * 7)),
    ],
    ids=["middle", "easy", "hard"],
)
def test_epicprm_begins_by_difficulty_and_compares_with_the_problem(renderer, problem, shares, probes, relative):
    """Seven prefixes: the middle one is 3, a quarter is 1. A step is wrong below half of the problem's value."""
    engine = FakeEngine(values(*shares, problem=problem))
    _, (labels,), _ = run(engine, renderer, [chain(steps=8)], "epicprm", 16)
    assert [(step_of(r), r.n) for r in engine.asked] == [
        (-1, 16), *((step, 10 if problem == 1 else 16) for step in probes)
    ]  # fmt: skip
    assert labels.relative == relative


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_chain_of_one_step_costs_nothing(renderer, strategy):
    engine = FakeEngine(values())
    run(engine, renderer, [chain(steps=1)], strategy)
    assert engine.asked == []


def test_epicprm_draws_nothing_more_where_the_problem_is_never_solved(renderer):
    engine = FakeEngine(values(0, 0, problem=0))
    _, (labels,), _ = run(engine, renderer, [chain(steps=3)], "epicprm")
    assert (len(engine.asked), labels.relative) == (1, (None, None, False))


def test_scan_goes_on_to_the_first_prefix_that_fails(renderer):
    engine = FakeEngine(values(1, 0.75, 0.5, 0, 0, problem=0.875))
    _, (labels,), _ = run(engine, renderer, [chain(steps=6)], "scan")
    assert [step_of(r) for r in engine.asked] == [-1, 0, 1, 2, 3]
    assert labels.hard == (True, True, True, False, False, False)
    assert labels.denoised == (1.0, pytest.approx(0.75 / 0.875), pytest.approx(0.5 / 0.875), 0.0, None, None)


def test_scan_leaves_problems_alone_that_the_model_rarely_solves(renderer):
    engine = FakeEngine(values(1, 1, problem=0.5))
    _, (labels,), _ = run(engine, renderer, [chain(steps=3)], "scan")
    assert (len(engine.asked), labels.hard) == (1, (None, None, False))
    _, (labels,), _ = run(engine, renderer, [chain(steps=3, answer="4")], "scan")
    assert (len(engine.asked), labels.denoised) == (1, (1.0, 1.0, 1.0)), "a right chain needs no rollout"


def test_an_engine_that_gives_fewer_is_asked_for_the_rest(renderer):
    engine = FakeEngine(lambda request: [WRONG])
    _, (labels,), _ = run(engine, renderer, [chain(steps=2)], "bisect", 4)
    assert labels.wrong == (4, 0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_step_needs_no_draw(renderer, strategy):
    _, (labels,), _ = run(FakeEngine(reaches(9)), renderer, [chain(steps=1)], strategy)
    assert (labels.known, labels.hard, labels.soft) == (("answer",), (False,), (0.0,))


@pytest.mark.parametrize("completion", [CUT, SILENT], ids=["cut", "no answer"])
def test_an_undecided_rollout_is_not_evidence(renderer, completion):
    engine = FakeEngine(lambda request: [completion] * request.n)
    numbers = Chain("c", "p", ("2 + 2 = 4\n", "so 9\n", "The answer is 9"))  # of the prefix, not of the rollout
    tally, (labels,), _ = run(engine, renderer, [numbers], "fixed", 4)
    assert labels.undecided == (4, 4, 0)
    assert labels.right == labels.wrong == (0, 0, 0)
    assert labels.hard == (None, None, False)
    assert labels.known == ("undecided", "undecided", "answer")
    assert labels.drawn == (4, 4, 0)
    assert tally.undecided.total() == tally.rollouts == 8
    assert tally.is_hopeless


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("The answer is 4", "no_answer"),  # perhaps 42
        ("The answer is 4.", "no_answer"),  # perhaps 4.2
        ("The answer is \\boxed{4", "no_answer"),
        ("So it is 4, and", "no_answer"),
        ("<think>The answer is 4. Or is", "no_answer"),
        ("The answer is 4. Question: what is 3 + 3? The answer is 6.", "correct"),
        ("The answer is 4.\nProblem 2. What is 3 + 3?\nThe answer is 6", "correct"),
        ("The answer is 5.\nQ: What is 2 + 2?\nA: The answer is 4.\n", "incorrect"),
        ("so \\boxed{4}, which", "correct"),
        ("2 + 2 = 4, so 4 are left.\n\nQuestion: What is 3 + 3?", "no_answer"),
        ("#### Step 2: add\nWe have 5 apples and", "no_answer"),
        ("The answer: \nlet me see 3\nq 4", "no_answer"),
        ("The first answer is 3. The second answer", "no_answer"),
        ("Part (a): answer: 3.\nPart (b): we compute", "no_answer"),
        ("so the answer is 5. But wait, that is", "no_answer"),
        ("The answer is not obvious. Let us compute 5 +", "no_answer"),
        ("Let us see.\n\nQuestion: What is 3 + 3? It is", "no_answer"),
        ("#### 5\nThen", "incorrect"),
    ],
)
def test_a_text_cut_by_length_is_judged_by_an_answer_that_it_gave_before(text, outcome):
    assert [*outcomes(RULES, [(text, "length")], Problem("p", "?", "4"))] == [outcome]


@pytest.mark.parametrize(
    "text",
    [
        "Step 1: Understand.\n\nProblem: John has 1 apple and buys 3.\n\nStep 2: 1+3=4.\n\nThe answer is 4.",
        "## Step 1\n\n**Problem:** 1 + 3\n\n## Step 2\n\n$\\boxed{4}$",
        "Given 3 apples and a pear.\n\nQuestion: how many in total?\n\n3+1=4\n#### 4",
        "Question 5.1: How many?\nAnswer 5.1: The answer is 3.\nQuestion 5.2: In all?\nAnswer 5.2: The answer is 4.",
        "Question 1: How many?\nThe answer is 3.\nQuestion 2: In all?\nThe answer is 4.",
        "The answer: let me think.\nQuestion: what is 3+1?\nThe answer is 4",
        "The choice is ours. Problem: x. \\boxed{4}",
        "<think>First: the answer is 3.\nQuestion: is that right? No.\n</think>\nThe answer is 4.",
    ],
)
def test_a_solution_that_asks_itself_questions_is_left_whole(renderer, text):
    assert [*outcomes(RULES, [(text, "stop")], Problem("p", "?", "4"))] == ["correct"]
    engine = FakeEngine(lambda request: [Completion(text, 9, "stop")])
    ((made,),) = sample_chains([PROBLEM], engine, renderer, Drops(), n=1, sampling=Sampling())
    assert made.text == text


def test_a_model_that_asks_itself_without_end_takes_no_time():
    started = time.monotonic()
    assert end_of_answer("\nQ: why\n" * 20_000) == 160_000
    assert time.monotonic() - started < 30


def test_what_follows_another_question_is_no_part_of_a_finished_text():
    text = "2 + 2 = 4. The answer is 4.\n\nQuestion: What is 3 + 3?\nThe answer is 6."
    assert [*outcomes(RULES, [(text, "stop")], Problem("p", "?", "4"))] == ["correct"]


def test_a_sampled_chain_ends_before_another_question(renderer):
    engine = FakeEngine(lambda request: [Completion("It is 4.\nThe answer is 4.\n\nQ: 3 + 3?\nIt is 6.", 9, "length")])
    ((made,),) = sample_chains([PROBLEM], engine, renderer, Drops(), n=1, sampling=Sampling())
    assert (made.steps, made.finish) == (("It is 4.\n", "The answer is 4."), "stop")


def test_a_gold_answer_that_cannot_be_read_among_several_decides_nothing():
    problem = Problem("p", "?", "5", other_answers=("about half a dozen, give or take", "\\frac{1}{"))
    assert [*outcomes(RULES, [("#### 7", "stop"), ("#### 5", "stop")], problem)] == ["incorrect", "correct"]


def test_any_of_several_gold_answers_is_right():
    problem = Problem("p", "?", "7", other_answers=("8",))
    texts = [(f"The answer is {n}", "stop") for n in (8, 7, 9)]
    assert [*outcomes(RULES, texts, problem)] == ["correct", "correct", "incorrect"]


def test_a_rollout_continues_the_chains_own_text(renderer):
    engine = FakeEngine(reaches(0))
    run(engine, renderer, [chain(steps=3)], "fixed", 1)
    read = [renderer.tokenizer.decode(list(r.prompt_ids), skip_special_tokens=True) for r in engine.asked]
    assert read == [f"{PROBLEM.text}\nstep 0\n", f"{PROBLEM.text}\nstep 0\nstep 1\n"]


def test_unusable_chains_are_dropped_with_a_reason(renderer):
    problems = {"p": PROBLEM, "open": Problem("open", "?")}
    chains = [
        chain("good"),
        Chain("lost", "q", ("a",)),
        Chain("open", "open", ("a",)),
        Chain("empty", "p", ()),
        chain("long", steps=60),
    ]
    problems["broken"] = Problem("broken", "?", "\\frac{1}{")
    chains.append(Chain("broken", "broken", ("a",)))
    _, labels, events = run(FakeEngine(reaches(1)), renderer, chains, "fixed", 1, problems)
    assert [x.chain_id for x in labels] == ["good"]
    assert [(e.id, e.reason) for e in events if isinstance(e, Drop)] == [
        ("lost", "its problem is missing"),
        ("open", "its problem has no gold answer"),
        ("empty", "empty chain"),
        ("long", "chain longer than the model's context"),
        ("broken", "gold answer that cannot be used"),
    ]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("backwards", [False, True])
def test_many_chains_are_labeled_once_each_the_same_in_any_order(renderer, strategy, backwards):
    chains = [chain(f"c@{i}", steps=1 + i % 6) for i in range(20)]
    engine = FakeEngine(reaches(2), room=7, backwards=backwards)
    _, labels, _ = run(engine, renderer, chains, strategy, 4)
    assert [x.chain_id for x in labels] == [c.id for c in chains]
    assert len({r.id for r in engine.asked}) == len(engine.asked)
    for item in labels:
        assert item.hard == (*(i <= 2 for i in range(len(item.right) - 1)), False)


def test_chains_are_read_as_the_engine_has_room(renderer):
    read = []
    source = (read.append(i) or chain(f"c{i}", steps=3) for i in range(100))
    labeler = Labeler(FakeEngine(reaches(0), room=2), renderer, Plan("fixed", Budget(2)))
    events = labeler.run(source, {"p": PROBLEM})
    next(events)
    assert len(read) < 6
    assert sum(isinstance(e, StepLabels) for e in events) == 100


def test_labels_come_in_the_order_of_the_chains_and_the_window_is_bounded(renderer, monkeypatch):
    """The first chain is answered last; at most five others are begun before that."""
    monkeypatch.setattr(label, "WINDOW", 6)
    read, seen = [], []

    class FirstLast(FakeEngine):
        def stream(self, requests, sampling):
            held = next(requests)
            for request in iter(lambda: next(requests, END), END):
                if request is None:
                    seen.append(len(read))
                    yield held, self.reply(held)
                    held = None
                else:
                    yield request, self.reply(request)

    source = (read.append(i) or chain(f"c{i}", steps=2) for i in range(20))
    labeler = Labeler(FirstLast(reaches(0)), renderer, Plan("fixed", Budget(2)))
    labels = [e.chain_id for e in labeler.run(source, {"p": PROBLEM}) if isinstance(e, StepLabels)]
    assert labels == [f"c{i}" for i in range(20)]
    assert seen[0] == 6


@pytest.mark.parametrize("answers", ["4" * 20, "4" * 19 + "9", "9" + "4" * 19])
def test_more_chains_that_need_no_draw_than_the_window_holds(renderer, monkeypatch, answers):
    monkeypatch.setattr(label, "WINDOW", 6)
    chains = [chain(f"c{i}", answer=answer) for i, answer in enumerate(answers)]
    _, labels, _ = run(FakeEngine(reaches(1)), renderer, chains, "bisect")
    assert [x.chain_id for x in labels] == [c.id for c in chains]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kept", range(0, 41, 4))
def test_earlier_draws_are_not_repeated(renderer, strategy, kept):
    """However many rollouts an earlier run made, the rest completes the same draws and labels."""
    chains = [chain(f"c{i}", steps=2 + i) for i in range(4)]
    _, labels, events = run(FakeEngine(reaches(1)), renderer, chains, strategy, 5)
    whole = [e for e in events if isinstance(e, Rollout)]
    earlier = {}
    for rollout in whole[:kept]:
        earlier.setdefault(rollout.chain_id, []).append(rollout)
    _, again, events = run(FakeEngine(reaches(1)), renderer, chains, strategy, 5, earlier=earlier)
    assert again == labels
    made = [e for e in events if isinstance(e, Rollout)]
    assert sorted(map(repr, made + whole[:kept])) == sorted(map(repr, whole))


def test_only_missing_draws_are_asked_for_and_all_that_is_there_counts(renderer):
    """As after a kill when draws that were made ahead had come back before those before them."""
    stored = [Rollout("c", 1, draw, "The answer is 5", 3, "stop", "incorrect") for draw in (2, 3, 5)]
    engine = FakeEngine(reaches(-1))
    _, (labels,), _ = run(engine, renderer, [chain(steps=3)], "fixed", 6, earlier={"c": stored})
    assert sorted((r.key, r.first, r.n) for r in engine.asked) == [("c@0", 0, 6), ("c@1", 0, 2), ("c@1", 4, 1)]
    assert labels.wrong == (6, 6, 0)
    ahead = [Rollout("c", 1, draw, "The answer is 4", 3, "stop", "correct") for draw in (0, 1, 2, 3)]
    _, (labels,), _ = run(engine, renderer, [chain(steps=3)], "bisect", 6, earlier={"c": ahead})
    assert labels.right == (0, 4, 0)


def test_draws_have_seeds_only_where_they_are_to_be_reproducible():
    assert Request("c@1", (1,), 8).seed(Sampling(seed=3)) is None


def test_the_seeds_of_draws_do_not_depend_on_their_division_into_requests():
    whole, part = Request("c@1", (1,), 8), Request("c@1", (1,), 3, first=5)
    assert part.seed(SEEDED) == whole.seed(SEEDED) + 5


def test_the_estimate_is_never_exceeded_and_counts_the_tokens_that_follow(renderer):
    chains = [chain("a"), chain("b", answer="4"), chain("c", steps=3), Chain("lost", "q", ("a",))]
    for strategy in STRATEGIES:
        cost = estimate(chains, {"p": PROBLEM}, renderer, Plan(strategy, Budget(4)))
        tally, _, _ = run(FakeEngine(reaches(1)), renderer, chains, strategy, 4)
        assert (cost.chains, cost.right, cost.unusable, cost.prefixes) == (4, 1, 1, 10)
        assert tally.rollouts <= cost.rollouts
    cost = estimate(chains[2:3], {"p": PROBLEM}, renderer, Plan("fixed", Budget(4)))
    ends = renderer.render(PROBLEM.text, chains[2].steps).step_ends
    assert cost.tokens == 4 * (ends[2] - ends[0]) + 4 * (ends[2] - ends[1])


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
def test_invalid_sampling_is_refused(options):
    with pytest.raises(InputError, match=f"^{next(iter(options))}="):
        Sampling(**options)


# Checkers.


def ends_with_gold(text, gold, problem):
    """A custom checker: it sees the problem, and may be undecided or fail."""
    assert problem.answer == gold
    if "boom" in text:
        raise RuntimeError("boom")
    return None if "?" in text else text.strip().endswith(gold)


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        ("so 4", "stop", "correct"),
        ("so 5", "stop", "incorrect"),
        ("so 4?", "stop", "no_answer"),
        ("so 4", "length", "no_answer"),
        ("The answer is 4. So we end with 4", "length", "correct"),
        ("boom", "stop", "error"),
    ],
)
def test_a_custom_checker_decides(text, finish, expected):
    assert [*outcomes(ends_with_gold, [(text, finish)], Problem("p", "?", "4"))] == [expected]


def test_our_checker_is_the_default_and_refuses_unusable_gold_answers():
    one = chain(steps=2)
    assert [*outcomes(RULES, [("The answer is 4", "stop")], Problem("p", "?", "4.0"))] == ["correct"]
    assert unusable(RULES, one, Problem("p", "?", "")).reason == "gold answer that cannot be used"
    assert unusable(ends_with_gold, one, Problem("p", "?", "")) is None
    assert unusable(ends_with_gold, one, Problem("p", "?")).reason == "its problem has no gold answer"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (check("4", "4"), "correct"),
        (check("4", "5"), "incorrect"),
        (check(" ", "5"), "no_answer"),
        (Outcome.TIMEOUT, "timeout"),
        ("error", "error"),
        (np.True_, "correct"),
        (False, "incorrect"),
        (None, "no_answer"),
    ],
)
def test_a_checker_may_return_a_verdict_its_outcome_or_a_truth_value(found, expected):
    (outcome,) = outcomes(lambda text, gold, problem: found, [("4", "stop")], Problem("p", "?", "4"))
    assert (outcome, type(outcome)) == (expected, str)


@pytest.mark.parametrize("found", [0.7, "yes", ["correct"], {}, np.array([1, 2])])
def test_a_checker_that_returns_something_else_is_named(found):
    def strange(text, gold, problem):
        return found

    with pytest.raises(InputError, match=r"strange returned .*, which is not a verdict") as caught:
        list(outcomes(strange, [("4", "stop")], Problem("p", "?", "4")))
    assert repr(found) in str(caught.value)


def test_a_checker_that_cannot_be_called_with_all_three_is_refused():
    for checker in (ends_with_gold, RULES, lambda *given: None, partial(ends_with_gold), max):
        assert job_checker(checker) is checker
    for checker in (None, 5):
        with pytest.raises(InputError, match=f"checker={checker!r} is not a function"):
            job_checker(checker)
    for checker in (check, lambda text, gold: True, partial(ends_with_gold, "4")):
        with pytest.raises(InputError, match="cannot be called: ") as caught:
            job_checker(checker)
        assert "text, gold, problem" in caught.value.hint

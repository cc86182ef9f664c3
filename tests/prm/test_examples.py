"""Which chains a model learns from, and what is dropped."""

import itertools

import pytest

from prm.drops import Drops
from prm.examples import GroupExample, group_examples, join_rows, step_examples
from prm.records import Chain, Problem, StepLabels
from prm.rendering import Renderer
from prm.shares import is_in_share

PROBLEM = Problem("p", "what?", "4")


def chain(identity, *steps, problem="p"):
    return Chain(identity, problem, steps)


def label(identity, right, wrong, *, outcome="incorrect", known=None, problem="p"):
    n = len(right)
    known = known or ("drawn",) * (n - 1) + ("answer",)
    return StepLabels(identity, problem, right, wrong, (0,) * n, known, outcome)


@pytest.fixture
def renderer(tokenizer):
    return Renderer(tokenizer)


def test_what_belongs_together_is_joined_and_the_rest_written_down():
    chains = {c.id: c for c in (chain("a", "x", "y"), chain("b", "x"), chain("c", "x", problem="q"))}
    given = [
        label("b", (1, 0), (0, 1)),
        label("a", (1, 0), (0, 1)),
        label("z", (1,), (0,)),
        label("c", (1,), (0,), problem="q"),
    ]
    drops = Drops()
    rows = join_rows({"p": PROBLEM}, chains, given, drops)
    assert rows == [(PROBLEM, chains["a"], given[1])]
    assert drops.by_reason() == {
        "labels and steps differ in number": 1,
        "its chain is missing": 1,
        "its problem is missing": 1,
    }


def test_step_examples_point_at_the_ends_of_the_labelled_steps(renderer):
    steps = chain("a", "x\n", "y\n", "z")
    counts = label("a", (3, 0, 0), (1, 0, 0))  # the second step is not known
    drops = Drops()
    for view, targets in (("hard", (1.0, 0.0)), ("soft", (0.75, 0.0))):
        (example,) = step_examples([(PROBLEM, steps, counts)], renderer, view, 256, drops)
        rendered = renderer.render(PROBLEM.text, steps.steps)
        assert example.ids == rendered.ids
        assert example.positions == (rendered.step_ends[0], rendered.step_ends[2])
        assert example.targets == targets
        assert example.problem_id == "p"
    assert len(drops) == 0


def test_a_long_chain_and_one_without_labels_are_dropped_never_cut(renderer):
    steps, drops = chain("a", "x"), Drops()
    length = len(renderer.render(PROBLEM.text, steps.steps).ids)
    unknown = label("a", (0,), (0,), outcome="timeout")
    known = label("a", (0,), (0,))
    assert len(step_examples([(PROBLEM, steps, known)], renderer, "hard", length, drops)) == 1
    assert step_examples([(PROBLEM, steps, known)], renderer, "hard", length - 1, drops) == []
    assert step_examples([(PROBLEM, steps, unknown)], renderer, "hard", length, drops) == []
    assert drops.by_reason() == {"longer than the model's context": 1, "no step has a hard label": 1}


def outcomes(**by_id):
    return [(PROBLEM, chain(i, i), label(i, (0,), (0,), outcome=o)) for i, o in by_id.items()]


def test_the_chains_of_a_problem_are_one_group(renderer):
    rows = outcomes(a="correct", b="incorrect", c="incorrect")
    rendered = [renderer.render(PROBLEM.text, c.steps) for _, c, _ in rows]
    (group,) = group_examples(rows, renderer, 256, Drops())
    assert group == GroupExample(
        problem_id="p",
        ids=tuple(r.ids for r in rendered),
        step_ends=tuple(r.step_ends for r in rendered),
        prompt_length=len(renderer.prompt_ids(PROBLEM.text)),
        is_right=(True, False, False),
    )


def test_what_cannot_be_compared_is_dropped_with_its_reason(renderer):
    drops = Drops()
    assert group_examples(outcomes(a="correct", b="timeout", c="no_answer"), renderer, 256, drops) == []
    assert drops.by_reason() == {"its answer is undecided": 2, "all its chains are right": 1}
    drops = Drops()
    assert group_examples(outcomes(a="incorrect"), renderer, 256, drops) == []
    assert drops.by_reason() == {"all its chains are wrong": 1}
    drops = Drops()
    assert group_examples(outcomes(a="incorrect"), renderer, 3, drops) == []
    assert drops.by_reason() == {"longer than the model's context": 1}


def test_the_held_out_part_is_chosen_by_problem_and_grows_with_the_share():
    ids = [f"gsm8k-{i}" for i in range(4000)]
    parts = [{i for i in ids if is_in_share(i, share)} for share in (0.0, 0.1, 0.5, 1.0)]
    assert parts[0] == set()
    assert parts[3] == set(ids)
    assert all(a <= b for a, b in itertools.pairwise(parts))
    assert len(parts[1]) == pytest.approx(400, abs=80)  # four standard deviations
    assert len(parts[2]) == pytest.approx(2000, abs=130)

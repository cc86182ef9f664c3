"""Which chains a model learns from, and what is dropped."""

import itertools
from array import array

import pytest

from prm.data.drops import Drops
from prm.data.joining import join_rows
from prm.data.preferences import Preference
from prm.data.records import Chain, Problem, StepLabels
from prm.data.splits import is_in_share
from prm.models.rendering import Renderer, SolutionRenderer
from prm.training.examples import (
    ChainExample,
    Recipe,
    class_weights,
    label_examples,
    preference_examples,
    reweighted,
    to_last_target,
)

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
    made = (
        chain("a", "x", "y"),
        chain("b", "x"),
        chain("c", "x", problem="q"),
        chain("d", "x"),
        chain("e", "x", problem="q"),
    )
    chains = {c.id: c for c in made}
    given = [
        label("b", (1, 0), (0, 1)),
        label("a", (1, 0), (0, 1)),
        label("z", (1,), (0,)),
        label("c", (1,), (0,), problem="q"),
        label("e", (1,), (0,)),
    ]
    drops = Drops()
    rows = list(join_rows({"p": PROBLEM}, made, given, drops))
    assert rows == [(PROBLEM, chains["a"], given[1])]
    assert drops.by_reason() == {
        "labels and steps differ in number": 1,
        "its chain is missing": 1,
        "its problem is missing": 1,
        "chain and labels name different problems": 1,
        "it has no labels": 1,
    }


def ids(rendered):
    return array("i", rendered.ids)


STEP, OUTCOME = frozenset({"step"}), frozenset({"outcome"})


def one(rows, renderer, drops=None, **recipe):
    (group,) = label_examples(rows, renderer, Recipe(STEP, **recipe), Drops() if drops is None else drops)
    (example,) = group.chains
    return example


def test_a_step_example_has_the_label_of_each_step_that_is_known(renderer):
    steps = chain("a", "x\n", "y\n", "z")
    counts = label("a", (3, 0, 0), (1, 0, 0))  # the second step is not known
    drops = Drops()
    for view, targets, weights in (
        ("hard", (1.0, None, 0.0), (1.0, 1.0, 1.0)),
        ("soft", (0.75, None, 0.0), (1.0, 1.0, 1.0)),
        ("counts", (0.75, None, 0.0), (4.0, 0.0, 4.0)),  # the answer weighs as much as the most drawn step
    ):
        rendered = renderer.render(PROBLEM.text, steps.steps)
        example = one([(PROBLEM, steps, counts)], renderer, drops, labels_as=view)
        known = ("drawn", "drawn", "answer")
        assert example == ChainExample("a", ids(rendered), rendered.step_ends, targets, weights, (None,), known)
    assert len(drops) == 0


@pytest.mark.parametrize(
    ("steps", "targets"),
    [
        ("all", (1.0, 0.25, 0.0, 0.0)),
        ("first-error", (1.0, 0.25, 0.0, None)),
        ("one-past", (1.0, 0.25, 0.0, 0.0)),
    ],
)
def test_which_steps_count(renderer, steps, targets):
    """A step from which one rollout in four succeeds is hard to go on from, and no error."""
    row = PROBLEM, chain("a", "w", "x", "y", "z"), label("a", (4, 1, 0, 0), (0, 3, 4, 4), known=("drawn",) * 4)
    assert one([row], renderer, labels_as="soft", steps=steps).targets == targets
    clean = PROBLEM, chain("b", "w", "x"), label("b", (4, 4), (0, 0), known=("drawn",) * 2)
    assert one([clean], renderer, labels_as="soft", steps=steps).targets == (1.0, 1.0)
    five = PROBLEM, chain("c", *"vwxyz"), label("c", (4, 0, 0, 0, 0), (0, 4, 4, 4, 4), known=("drawn",) * 5)
    learned = sum(target is not None for target in one([five], renderer, steps=steps).targets)
    assert learned == {"all": 5, "first-error": 2, "one-past": 3}[steps]


def test_a_long_chain_and_one_without_labels_are_dropped_never_cut(renderer):
    steps, drops = chain("a", "x"), Drops()
    length = len(renderer.render(PROBLEM.text, steps.steps).ids)
    unknown = label("a", (0,), (0,), outcome="timeout")
    known = label("a", (0,), (0,))
    one([(PROBLEM, steps, known)], renderer, drops, max_length=length)
    assert list(label_examples([(PROBLEM, steps, known)], renderer, Recipe(STEP, max_length=length - 1), drops)) == []
    assert list(label_examples([(PROBLEM, steps, unknown)], renderer, Recipe(STEP, max_length=length), drops)) == []
    assert list(label_examples([(PROBLEM, steps, known)], renderer, Recipe(STEP, context=length - 1), drops)) == []
    assert drops.by_reason() == {
        "longer than max_length": 1,
        "no step has a hard label": 1,
        "longer than the model's context": 1,
    }
    assert next(iter(drops)).detail == f"{length} tokens, max_length {length - 1}"


def test_of_a_long_chain_as_many_whole_steps_are_kept_as_fit(renderer):
    steps = chain("a", "x\n", "yy yy\n", "z")
    counts = label("a", (3, 1, 0), (1, 3, 0))
    rendered = renderer.render(PROBLEM.text, steps.steps)
    for room, kept in ((len(rendered.ids) - 1, 2), (rendered.step_ends[1] + 1, 2), (rendered.step_ends[1], 1)):
        drops = Drops()
        found = one([(PROBLEM, steps, counts)], renderer, drops, max_length=room, too_long="whole-steps")
        assert found.ids == ids(rendered)[: rendered.step_ends[kept - 1] + 1]
        assert found.step_ends == rendered.step_ends[:kept]
        assert len(found.targets) == len(found.weights) == kept
        assert drops.by_reason() == {"steps beyond the longest length": 1}
    drops = Drops()
    recipe = Recipe(STEP, max_length=rendered.step_ends[0], too_long="whole-steps")
    assert list(label_examples([(PROBLEM, steps, counts)], renderer, recipe, drops)) == []
    assert drops.by_reason() == {"longer than max_length": 1}


def outcomes(**by_id):
    return [(PROBLEM, chain(i, i), label(i, (0,), (0,), outcome=o)) for i, o in by_id.items()]


def test_the_chains_of_a_problem_are_one_group(renderer):
    rows = outcomes(a="correct", b="incorrect", c="incorrect")
    (group,) = label_examples(rows, renderer, Recipe(OUTCOME), Drops())
    assert (group.problem_id, group.prompt_length) == ("p", len(renderer.prompt_ids(PROBLEM.text)))
    assert [(c.chain_id, c.value, c.targets) for c in group.chains] == [
        ("a", 1.0, (None,)),
        ("b", 0.0, (None,)),
        ("c", 0.0, (None,)),
    ]
    for example, (_, made, _) in zip(group.chains, rows, strict=True):
        assert example.ids == ids(renderer.render(PROBLEM.text, made.steps))


def test_what_cannot_be_compared_is_dropped_with_its_reason(renderer):
    def dropped(rows, **recipe):
        drops = Drops()
        assert list(label_examples(rows, renderer, Recipe(OUTCOME, **recipe), drops)) == []
        return drops.by_reason()

    rows = outcomes(a="correct", b="timeout", c="no_answer")
    assert dropped(rows) == {"its answer is undecided": 2, "all its chains are right": 1}
    assert dropped(outcomes(a="incorrect")) == {"all its chains are wrong": 1}
    assert dropped(outcomes(a="incorrect"), context=3) == {"longer than the model's context": 1}
    assert dropped(outcomes(a="incorrect", b="correct"), values={"a": (2.0,)}) == {
        "it has no value": 1,
        "all its chains are worth the same": 1,
    }


def test_a_pointwise_loss_learns_from_problems_whose_chains_are_all_right(renderer):
    (group,) = label_examples(outcomes(a="correct"), renderer, Recipe(OUTCOME, needs_pairs=False), Drops())
    assert group.chains[0].value == 1.0


def test_given_values_take_the_place_of_right_and_wrong(renderer):
    (group,) = label_examples(
        outcomes(a="correct", b="timeout"), renderer, Recipe(OUTCOME, values={"a": (-1.5,), "b": (2.0,)}), Drops()
    )
    assert [c.value for c in group.chains] == [-1.5, 2.0]


def test_a_joint_example_has_both_and_keeps_what_either_head_can_use(renderer):
    undecided = (PROBLEM, chain("u", "x"), label("u", (3,), (1,), outcome="timeout", known=("drawn",)))
    unknown = (PROBLEM, chain("n", "x"), label("n", (0,), (0,), outcome="timeout", known=("none",)))
    drops = Drops()
    rows = [*outcomes(a="correct", b="incorrect"), undecided, unknown]
    (group,) = label_examples(rows, renderer, Recipe(STEP | OUTCOME, labels_as="soft"), drops)
    assert [(c.targets, c.value) for c in group.chains] == [((1.0,), 1.0), ((0.0,), 0.0), ((0.75,), None)]
    assert drops.by_reason() == {"neither its steps nor its answer are known": 1}


def test_a_pair_is_a_group_of_two(renderer):
    pair = Preference("r", PROBLEM.text, "x\ny", "z", 0.5)
    (group,) = preference_examples([pair], renderer, Recipe(OUTCOME), "newline", Drops())
    chosen, rejected = renderer.render(PROBLEM.text, ("x\n", "y")), renderer.render(PROBLEM.text, ("z",))
    assert [(c.ids, c.step_ends, c.value) for c in group.chains] == [
        (ids(chosen), chosen.step_ends, 1.0),
        (ids(rejected), rejected.step_ends, 0.0),
    ]
    assert (group.problem_id, group.margin, group.weight, group.agreement) == ("r", 0.5, 1.0, None)
    drops = Drops()
    assert list(preference_examples([pair], renderer, Recipe(OUTCOME, max_length=3), "newline", drops)) == []
    assert [(drop.id, drop.reason) for drop in drops] == [("r", "longer than max_length")]


def test_a_row_of_lists_is_a_group_of_all_its_answers(tokenizer):
    renderer, drops = SolutionRenderer(tokenizer), Drops()
    row = Preference("r", "q", "a\n\nb", "c", None, ("d",), ("e " * 20,), 3.0, 0.75)
    (group,) = preference_examples([row], renderer, Recipe(OUTCOME), None, drops)
    assert [(c.chain_id, c.value) for c in group.chains] == [
        ("r/chosen", 1.0),
        ("r/chosen-2", 1.0),
        ("r/rejected", 0.0),
        ("r/rejected-2", 0.0),
    ]
    assert group.chains[0].ids == ids(renderer.render("q", ("a\n\nb",)))
    assert (group.weight, group.agreement) == (3.0, 0.75)
    (group,) = preference_examples([row], renderer, Recipe(OUTCOME, max_length=20), None, drops)
    assert [c.chain_id for c in group.chains] == ["r/chosen", "r/chosen-2", "r/rejected"]
    assert [(drop.id, drop.reason) for drop in drops] == [("r/rejected-2", "longer than max_length")]


def test_what_follows_the_last_label_is_not_read(renderer):
    row = PROBLEM, chain("a", "w", "x", "y"), label("a", (4, 0, 0), (0, 4, 4), known=("drawn",) * 3)
    (group,) = label_examples([row], renderer, Recipe(STEP, steps="first-error"), Drops())
    (whole,), (cut,) = group.chains, to_last_target(group).chains
    assert cut.ids == whole.ids[: whole.step_ends[1] + 1]
    assert (cut.step_ends, cut.targets, cut.weights) == (whole.step_ends[:2], (1.0, 0.0), (1.0, 1.0))


def test_class_weights_make_both_kinds_weigh_the_same(renderer):
    counts = label("a", (4, 3, 1), (0, 1, 3), known=("drawn",) * 3)
    row = PROBLEM, chain("a", "x", "y", "z"), counts
    groups = list(label_examples([row], renderer, Recipe(STEP, labels_as="counts"), Drops()))
    wrong, right = class_weights(groups)  # 8 of 12 draws are right
    assert (wrong, right) == pytest.approx((12 / 8, 12 / 16))
    assert 8 * right == pytest.approx(4 * wrong)
    assert reweighted(groups[0], 2.0, 1.0).chains[0].weights == pytest.approx((4.0, 4 * 1.25, 4 * 1.75))
    hard = label_examples([row], renderer, Recipe(STEP, steps="first-error"), Drops())
    assert class_weights(hard) == (1.0, 1.0), "there is only one kind"


def test_the_held_out_part_is_chosen_by_problem_and_grows_with_the_share():
    ids = [f"gsm8k-{i}" for i in range(4000)]
    parts = [{i for i in ids if is_in_share(i, share)} for share in (0.0, 0.1, 0.5, 1.0)]
    assert parts[0] == set()
    assert parts[3] == set(ids)
    assert all(a <= b for a, b in itertools.pairwise(parts))
    assert len(parts[1]) == pytest.approx(400, abs=80)  # four standard deviations
    assert len(parts[2]) == pytest.approx(2000, abs=130)

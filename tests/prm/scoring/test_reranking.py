"""Choosing among chains, worked out by hand."""

import itertools
import json
import math

import numpy as np
import pytest

from prm.data.files import to_json
from prm.data.records import Problem
from prm.errors import InputError
from prm.scoring.reranking import SELECTIONS, choose, group_answers, own_selection, rerank, select
from prm.scoring.scorer import Refusal, Scorer
from prm.verifiers import Policy
from prm.verifiers.checkers import Rules, checker_of


def texts(*answers):
    return [f"So it is.\nThe answer is {a}" if a is not None else "I do not know." for a in answers]


class Fixed(Scorer):
    """Scores by the solution's text."""

    def __init__(self, table, kind="prm"):
        self.table, self.kind = table, kind

    def score_each(self, problems, chains):
        return [self.table["".join(c)] for c in chains]


def test_answers_are_grouped_by_value():
    solutions = texts("0.5", "7", "1/2", None, "$\\frac{1}{2}$", "7.0")
    assert group_answers(solutions) == [0, 1, 0, None, 0, 1]


@pytest.mark.parametrize(
    ("policy", "groups"),
    [(Policy(), [0, 1, 2]), (Policy(relative=0.01), [0, 0, 1]), (Policy(boxes="first"), [0, 1, 1])],
)
def test_answers_are_grouped_under_a_policy(policy, groups):
    solutions = [r"\boxed{9.8}", r"\boxed{5} gives \boxed{9.79}", r"\boxed{5} gives \boxed{7}"]
    assert group_answers(solutions, Rules(policy)) == groups


def test_answers_that_only_algebra_finds_equal_are_grouped():
    assert group_answers([r"\boxed{x+1}", r"\boxed{2x}", r"\boxed{1+x}"]) == [0, 1, 0]


@pytest.mark.parametrize("first", [0, 5, 11])
def test_an_answer_that_no_time_is_enough_for_costs_little(first):
    """It waits beside one other answer and beside a plain one, not beside each; others are grouped as without it."""
    waits = []

    def checker(prediction, gold, problem):
        if "hopeless" in prediction + gold:
            waits.append((prediction, gold))
            return "timeout"
        return prediction.rpartition(" ")[2].lstrip("0") == gold.lstrip("0")

    plain = [f"So the answer is {'0' * (i // 6)}{1 + i % 6}" for i in range(12)]
    hopeless = [f"So the answer is hopeless{i}" for i in range(4)]
    found = group_answers([*plain[:first], *hopeless, *plain[first:]], checker_of(checker))
    ours, theirs = found[first : first + 4], found[:first] + found[first + 4 :]
    assert len(set(ours)) == 4
    assert [theirs.index(number) for number in theirs] == [0, 1, 2, 3, 4, 5] * 2
    assert len(waits) <= 2 * len(hopeless) + 1


def test_answers_are_compared_only_for_a_vote():
    asked = []

    def checker(prediction, gold, problem):
        asked.append(gold)
        return prediction == gold

    def chosen(selection, **more):
        given = texts(*"abcdef", None), [(i / 10,) for i in range(7)]
        return choose("p", *given, selection=selection, checker=checker, **more).index

    assert chosen("best-of-n") == 6, "for a checker of yours any text is an answer"
    assert choose("p", texts("1", None), [(0.1,), (0.9,)]).index == 0
    assert not asked
    assert chosen("majority") == 0
    assert asked
    asked.clear()
    assert chosen("majority", groups=iter([0, 1, 1, 2, 3, 4, None])) == 1
    assert not asked


def test_a_selection_of_your_own_is_told_from_another(monkeypatch):
    assert own_selection("majority") == {}
    found = []
    for weight in (1.0, 2.0):
        monkeypatch.setitem(SELECTIONS, "mine", lambda scores, weight=weight: dict.fromkeys(scores, weight))
        found.append(own_selection("mine")["own_selection"])
    assert found[0] != found[1]


BY_HAND = {
    # answers 7 8 8 9, scores: the best is 9, the vote 8; by weight 7 (0.6) loses to 8 (0.35 + 0.3)
    "best-of-n": ([0.6, 0.35, 0.3, 0.64], [0, 1, 1, 2], 3),
    "majority": ([0.6, 0.3, 0.35, 0.64], [0, 1, 1, 2], 1),
    "weighted": ([0.6, 0.3, 0.35, 0.64], [0, 1, 1, 2], 2),
}


@pytest.mark.parametrize(("selection", "case"), BY_HAND.items(), ids=BY_HAND)
def test_by_hand(selection, case):
    scores, groups, chosen = case
    assert select(scores, groups, selection) == chosen


@pytest.mark.parametrize("selection", BY_HAND)
def test_a_chain_without_an_answer_is_never_chosen_while_another_has_one(selection):
    assert select([0.9, 0.1, 0.8], [None, 0, None], selection) == 1
    assert select([0.2, 0.9, 0.9], [None, None, None], selection) == 1


@pytest.mark.parametrize("selection", BY_HAND)
def test_ties_go_to_the_first(selection):
    assert select([0.5, 0.5, 0.5], [0, 1, 2], selection) == 0
    assert select([0.1, 0.5, 0.5, 0.5, 0.5], [None, 0, 1, 1, 0], selection) == 1


def test_weights_of_logarithms_are_probabilities():
    # e^-1 = 0.37 for the first; 2 * e^-1.5 = 0.45 for the second
    assert select([-1.0, -1.5, -1.5], [0, 1, 1], "weighted") == 1
    # e^-1 = 0.37 against 2 * e^-2 = 0.27
    assert select([-1.0, -2.0, -2.0], [0, 1, 1], "weighted") == 0


def test_certain_chains_each_weigh_one_by_their_product():
    """The logarithm of certainty is 0, but not a weight of 0."""
    chosen = choose("p", texts(7, 8, 8), [(1.0,), (1.0,), (1.0,)], aggregate="product", selection="weighted")
    assert chosen.answer == "8"


def test_impossible_chains_are_still_voted_on():
    chosen = choose("p", texts(7, 8, 8), [(0.0,), (0.0,), (0.0,)], aggregate="product", selection="weighted")
    assert chosen.answer == "8"


STEP_SCORES = [(0.9, 0.2), (0.5, 0.6), (0.3, 0.95), (0.99,)]


@pytest.mark.parametrize(("aggregate", "index"), [("min", 1), ("last", 2), ("max", 2), ("mean", 2), ("product", 1)])
def test_a_choice_by_hand(aggregate, index):
    solutions = texts(7, 8, 9, None)  # the last has the best scores, and no answer
    table = dict(zip(solutions, STEP_SCORES, strict=True))
    choice = rerank(Problem("p", "?"), solutions, Fixed(table), aggregate=aggregate)
    assert (choice.index, choice.best, choice.answer) == (index, solutions[index], str(7 + index))
    assert choice.problem_id == "p"
    assert choice.step_scores == tuple(STEP_SCORES)
    assert choice.scores[3] == pytest.approx(0.99**2 if aggregate != "product" else 2 * math.log(0.99), abs=0.02)
    assert choice.refusals == (None,) * 4


@pytest.mark.parametrize("selection", BY_HAND)
def test_permuting_solutions_permutes_scores(selection):
    solutions = texts(7, 8, 7, None)
    table = dict(zip(solutions, [(0.9, 0.2), (0.5, 0.6), (0.9, 0.2), (0.1,)], strict=True))
    first = rerank("?", solutions, Fixed(table), selection=selection)
    for order in itertools.permutations(range(4)):
        other = rerank("?", [solutions[i] for i in order], Fixed(table), selection=selection)
        assert other.scores == tuple(first.scores[i] for i in order)
        assert other.step_scores == tuple(first.step_scores[i] for i in order)
        assert other.answer == first.answer


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_refused_solution_ranks_last_with_its_reason(selection):
    solutions = texts(7, None, 7, 8)
    results = [Refusal("blank step", "step 2 is blank"), (0.1,), Refusal("too long"), (0.2,)]
    choice = choose("p", solutions, results, selection=selection)
    assert (choice.index, choice.answer) == (3, "8")
    assert choice.scores == (None, 0.1, None, 0.2)
    assert choice.step_scores == ((), (0.1,), (), (0.2,))
    assert choice.refusals == ("blank step: step 2 is blank", None, "too long", None)
    assert json.loads(to_json(choice), parse_constant=pytest.fail)["refusals"][2] == "too long"


def test_if_every_answer_is_refused_a_scored_solution_is_chosen_else_the_first():
    refused = Refusal("too long")
    assert choose("p", texts(7, 8, None), [refused, refused, (0.1,)]).index == 2
    assert choose("p", texts(7, 8), [refused, refused]).index == 0


@pytest.mark.parametrize("aggregate", ["min", "product", "mean"])
def test_an_orm_needs_no_aggregator(aggregate):
    solutions = texts(7, 8, 9)
    rewards = dict(zip(solutions, [(-3.0,), (-1.0,), (-2.0,)], strict=True))
    choice = rerank("?", solutions, Fixed(rewards, "orm"), aggregate=aggregate)
    assert choice.index == 1
    assert choice.scores == (-3.0, -1.0, -2.0)


@pytest.mark.parametrize(
    ("solutions", "message"), [([], "no solution"), ("The answer is 7", "not a list of solutions")]
)
def test_no_solution_and_a_bare_text_are_refused(solutions, message):
    with pytest.raises(InputError, match=message):
        rerank("?", solutions, Fixed({}))


@pytest.mark.parametrize("answers", [(7,), (None,)], ids=["answer", "no answer"])
@pytest.mark.parametrize("option", [{"aggregate": "median"}, {"selection": "worst"}, {"splitter": "words"}])
@pytest.mark.parametrize("kind", ["prm", "orm"])
def test_an_unknown_option_is_refused_whatever_the_solutions_and_the_scorer(kind, answers, option):
    solutions = texts(*answers)
    with pytest.raises(InputError) as caught:
        rerank("?", solutions, Fixed({solutions[0]: (0.5,)}, kind), **option)
    assert next(iter(option.values())) in str(caught.value)


WRONG_SOLUTIONS = {
    "None": (None, "solutions is a NoneType"),
    "a mapping": ({"a": "The answer is 7"}, "solutions is a dict"),
    "a missing text": (["The answer is 7", None], "solution 1 is a NoneType"),
    "steps": ([["So it is.\n", "The answer is 7"]], "solution 0 is a list"),
    "nothing generated": (iter(()), "no solution"),
}


@pytest.mark.parametrize(("solutions", "message"), WRONG_SOLUTIONS.values(), ids=WRONG_SOLUTIONS)
def test_solutions_that_are_not_texts_are_refused(solutions, message):
    with pytest.raises(InputError, match=message) as caught:
        rerank("?", solutions, Fixed({}))
    assert caught.value.hint


def test_choose_needs_a_solution():
    with pytest.raises(InputError, match="no solution"):
        choose("", [], [])


def test_solutions_may_be_generated_or_an_array():
    solutions = texts(7, 8)
    scorer = Fixed(dict(zip(solutions, [(0.5, 0.25), (0.5, 0.75)], strict=True)))
    expected = rerank("?", solutions, scorer)
    for given in (iter(solutions), np.array(solutions), tuple(solutions)):
        assert rerank("?", given, scorer) == expected


@pytest.mark.parametrize("scorer", ["runs/prm", None, Fixed])
def test_a_name_is_not_a_scorer(scorer):
    with pytest.raises(InputError, match=r"scorer is a \w+, not a prm.Scorer") as caught:
        rerank("?", texts(7), scorer)
    assert "prm.load_scorer" in caught.value.hint


@pytest.mark.parametrize("kind", ["prm", "orm"])
def test_an_empty_solution_is_refused_without_asking_the_scorer(kind):
    scorer = Fixed({"The answer is 7": (-5.0,)}, kind)
    choice = rerank("?", ["", "The answer is 7", " \n"], scorer)
    assert (choice.index, choice.scores) == (1, (None, -5.0, None))
    assert choice.refusals == ("empty chain", None, "empty chain")
    assert rerank("?", [""], scorer).scores == (None,)


def test_a_wrong_option_is_found_before_anything_is_scored():
    for option in ({"aggregate": "median"}, {"selection": "worst"}, {"splitter": "words"}):
        with pytest.raises(InputError, match="unknown"):
            rerank("?", texts(7), Fixed({}), **option)


BROKEN_SELECTIONS = {
    "no weight": lambda scores: {},
    "one weight": lambda scores: 1.0,
    "raises": lambda scores: 1 / 0,
    "texts": lambda scores: dict.fromkeys(scores, "heavy"),
    "nan": lambda scores: dict.fromkeys(scores, math.nan),
    "not a function": 5,
}


@pytest.mark.parametrize("broken", BROKEN_SELECTIONS.values(), ids=BROKEN_SELECTIONS)
def test_a_selection_that_fails_is_named(monkeypatch, broken):
    monkeypatch.setitem(SELECTIONS, "own", broken)
    with pytest.raises(InputError, match="selection 'own' ") as caught:
        choose("p", texts(7, 8), [(0.5,), (0.25,)], selection="own")
    assert caught.value.hint


def test_a_selection_of_ones_own(monkeypatch):
    monkeypatch.setitem(SELECTIONS, "own", lambda scores: {i: -score for i, score in scores.items()})
    assert choose("p", texts(7, 8), [(0.5,), (0.25,)], selection="own").index == 1

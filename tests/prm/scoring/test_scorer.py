"""A scorer of one's own is checked wherever it is used; problems, chains and solutions come in many forms."""

import math
import re

import numpy as np
import pandas as pd
import pytest
import torch

import prm
from prm.data.records import Chain, Drop, Message, Problem, StepScores
from prm.errors import InputError, ModelError
from prm.models.checkpoint import Metadata, load_model, load_tokenizer, renderer_of
from prm.models.heads import token_head
from prm.scoring.backends import TransformersBackend
from prm.scoring.reranking import choose, rerank
from prm.scoring.reward_model import RewardModel
from prm.scoring.scorer import NOT_FINITE, Refusal, Scorer, score_chains

SOLUTIONS = ["3 + 4 = 7\nThe answer is 7", "The answer is 8"]
CHAINS = [Chain("a", "p", ("3 + 4 = 7\n", "The answer is 7")), Chain("b", "p", ("The answer is 8",))]
STEPS = [chain.steps for chain in CHAINS]


class Gives(Scorer):
    """A scorer that returns whatever it was made with."""

    def __init__(self, results, kind="prm"):
        self.results, self.kind = results, kind

    def score_each(self, problems, chains):
        return self.results


def by_rerank(scorer):
    choice = rerank("?", SOLUTIONS, scorer, aggregate="last")
    return [scores or refusal for scores, refusal in zip(choice.step_scores, choice.refusals, strict=True)]


def by_score_chains(scorer):
    events = list(score_chains(scorer, CHAINS, {"p": Problem("p", "?")}))
    return [event.scores if isinstance(event, StepScores) else event.reason for event in events]


def by_score(scorer):
    return scorer.score(["?", "?"], STEPS)


WAYS = [by_rerank, by_score_chains, by_score]

FORMS = {
    "tuples": [(0.5, 0.25), (0.75,)],
    "lists": [[0.5, 0.25], [0.75]],
    "arrays": [np.array([0.5, 0.25], dtype=np.float32), np.array([0.75])],
    "tensors": [torch.tensor([0.5, 0.25], requires_grad=True), torch.tensor([0.75], dtype=torch.bfloat16)],
    "numbers of other libraries": [[np.float32(0.5), torch.tensor(0.25)], (np.float64(0.75),)],
    "series": pd.Series([[0.5, 0.25], [0.75]]),
    "generators": ((x for x in row) for row in [[0.5, 0.25], [0.75]]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", [form for form in FORMS if form != "generators"])
def test_scores_may_be_lists_arrays_or_tensors(form, way):
    found = way(Gives(FORMS[form]))
    assert found == [(0.5, 0.25), (0.75,)]
    assert {type(score) for scores in found for score in scores} == {float}


@pytest.mark.parametrize("way", WAYS)
def test_scores_may_be_generated(way):
    assert way(Gives((x for x in row) for row in [[0.5, 0.25], [0.75]])) == [(0.5, 0.25), (0.75,)]


def test_a_table_of_scores_is_a_row_per_chain():
    for table in (np.array([[0.5], [0.75]]), torch.tensor([[0.5], [0.75]])):
        assert by_score_chains(Gives(table, "orm")) == [(0.5,), (0.75,)]


WRONG = {
    "too many results": ([(0.5, 0.5), (0.5,), (0.5,)], "3 results for 2 chains"),
    "too few results": ([(0.5, 0.5)], "1 results for 2 chains"),
    "no list": (None, "NoneType"),
    "a number": (0.5, "float"),
    "None for a chain": ([None, (0.5,)], "result 0 is None"),
    "a number for a chain": ([(0.5, 0.5), 0.5], "result 1 is 0.5"),
    "texts": ([("0.5", "0.5"), (0.5,)], r"result 0 is ('0.5', '0.5')"),
    "one text": (["12", (0.5,)], "result 0 is '12'"),
    "truth values": ([(True, False), (0.5,)], "result 0 is (True, False)"),
    "a mapping": ([{0: 0.5, 1: 0.5}, (0.5,)], "result 0 is {0: 0.5, 1: 0.5}"),
    "nested scores": ([[[0.5, 0.5]], [0.5]], "result 0 is [[0.5, 0.5]]"),
    "too few scores": ([(0.5,), (0.5,)], "result 0 has 1 scores, not 2"),
    "too many scores": ([(0.5, 0.5), (0.5, 0.5)], "result 1 has 2 scores, not 1"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("results", "message"), WRONG.values(), ids=WRONG)
def test_what_a_scorer_must_not_return_names_the_scorer(results, message, way):
    with pytest.raises(ModelError, match=rf"^Gives: .*{re.escape(message)}") as caught:
        way(Gives(results))
    assert "prm.Refusal" in caught.value.hint


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("results", [[0.5, 0.25], np.array([0.5, 0.25]), [(0.5, 0.5), (0.5,)], [(), (0.5,)]])
def test_an_orm_gives_exactly_one_score_per_chain(results, way):
    with pytest.raises(ModelError, match=r"^Gives: result 0 "):
        way(Gives(results, "orm"))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_a_refusal(bad):
    results = [(bad, 0.5), (0.25,)]
    choice = rerank("?", SOLUTIONS, Gives(results))
    assert (choice.index, choice.scores, choice.refusals) == (1, (None, 0.25), (NOT_FINITE, None))
    assert by_score_chains(Gives(results)) == [NOT_FINITE, (0.25,)]
    with pytest.raises(prm.RenderError, match=f"chain 0: {NOT_FINITE}"):
        by_score(Gives(results))
    assert choose("p", SOLUTIONS, results).index == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["PRM", None, 1])
def test_an_unknown_kind_names_the_scorer(kind, way):
    with pytest.raises(ModelError, match=f"^Gives: .*kind.* {kind!r}") as caught:
        way(Gives([(0.5, 0.5), (0.5,)], kind))
    assert "'prm' or 'orm'" in caught.value.hint


def test_a_scorer_without_a_kind_is_not_asked():
    class Kindless(Scorer):
        def score_each(self, problems, chains):
            raise AssertionError

    with pytest.raises(ModelError, match=r"^Kindless: "):
        rerank("?", SOLUTIONS, Kindless())


WRONG_RESULTS = {
    "too few": ([(0.5,)], "1 results for 2 chains"),
    "None": (None, "NoneType"),
    "a number": ([0.5, (0.5,)], "result 0 is 0.5"),
}


@pytest.mark.parametrize(("results", "message"), WRONG_RESULTS.values(), ids=WRONG_RESULTS)
def test_choose_refuses_results_that_do_not_match(results, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        choose("p", SOLUTIONS, results)
    assert "one result per solution" in caught.value.hint
    with pytest.raises(InputError, match="result 0 has 2 scores, not 1"):
        choose("p", SOLUTIONS, [(0.5, 0.5), (0.5,)], kind="orm")
    with pytest.raises(InputError, match="unknown kind 'PRM'"):
        choose("p", SOLUTIONS, [(0.5, 0.5), (0.5,)], kind="PRM")


def test_choose_takes_arrays():
    choice = choose("p", SOLUTIONS, [np.array([0.5, 0.25]), torch.tensor([0.75])])
    assert (choice.index, choice.step_scores) == (1, ((0.5, 0.25), (0.75,)))


def test_dropped_chains_do_not_shift_the_results():
    chains = [Chain("lost", "q", ("a",)), CHAINS[0], Chain("empty", "p", ()), CHAINS[1]]
    found = list(score_chains(Gives([(0.5, 0.25), (0.75,)]), chains, {"p": Problem("p", "?")}))
    assert [event.scores if isinstance(event, StepScores) else event for event in found] == [
        Drop("lost", "its problem is missing"), (0.5, 0.25), Drop("empty", "empty chain"), (0.75,),
    ]  # fmt: skip


@pytest.fixture(scope="module", params=["prm", "orm"])
def scorer(request, base_model):
    return made(base_model, request.param)


@pytest.fixture(scope="module")
def chatting(base_model, chat_tokenizer):
    return made(base_model, "prm", chat_tokenizer)


def made(base_model, kind, tokenizer=None):
    model, readout = load_model(base_model, kind, 0), "softmax" if kind == "prm" else "reward"
    renderer = renderer_of(tokenizer or load_tokenizer(base_model), Metadata(kind, chat=tokenizer is not None))
    return RewardModel(TransformersBackend(model, token_head), renderer, readout, kind)


LONE = "7 \ud83d apples"
BAD_PROBLEMS = {
    "a lone surrogate": (LONE, "not valid Unicode", r"'\ud83d'"),
    "None": (None, "not a problem", "a NoneType"),
    "a number": (7, "not a problem", "a int"),
    "one message": (Message("user", "?"), "not a problem", "a Message"),
    "one mapping": ({"role": "user", "content": "?"}, "not a problem", "a dict"),
    "no messages": ([], "not a problem", "no message"),
    "no content": ([Message("user", None)], "not a problem", "the content of message 1 is a NoneType"),
    "a number as content": ([Message("user", 5)], "not a problem", "the content of message 1 is a int"),
    "content in parts": (
        [{"role": "user", "content": [{"type": "text", "text": "?"}]}],
        "not a problem",
        "the content of message 1 is a list",
    ),
    "no role": ([{"content": "?"}], "not a problem", "the role of message 1 is a NoneType"),
    "no message": ([Message("user", "?"), "?"], "not a problem", "message 2 is a str"),
    "a lone surrogate in a message": ([Message("user", LONE)], "not valid Unicode", "the content of message 1"),
}


@pytest.mark.parametrize(("problem", "reason", "detail"), BAD_PROBLEMS.values(), ids=BAD_PROBLEMS)
def test_a_problem_that_cannot_be_posed_is_refused_alone(chatting, problem, reason, detail):
    refused, scores = chatting.score_each([problem, "?"], [("a",), ("b",)])
    assert reason in refused.reason
    assert detail in refused.detail
    assert scores == pytest.approx(chatting.score(["?"], [("b",)])[0], abs=1e-5)
    with pytest.raises(InputError, match=re.escape(detail)):
        rerank(problem, SOLUTIONS, chatting)


def test_a_step_that_is_not_unicode_is_refused_alone(scorer):
    refused, scores = scorer.score_each(["?", "?"], [("a", LONE), ("b",)])
    assert refused == Refusal("text that is not valid Unicode", r"step 2 has a lone surrogate, '\ud83d'", refused.hint)
    assert scores == pytest.approx(scorer.score(["?"], [("b",)])[0], abs=1e-5)
    choice = rerank("?", [LONE, "The answer is 7"], scorer)
    assert (choice.index, choice.scores[0]) == (1, None)


def test_records_and_mappings_are_problems_too(chatting):
    talk = [Message("user", "hello"), Message("assistant", "yes?"), Message("user", "how many?")]
    rows = [{"role": m.role, "content": m.content, "name": None} for m in talk]
    forms = [talk, tuple(talk), rows, np.array(rows, dtype=object), iter(rows)]
    first, *others = chatting.score_each(forms, [("a", "b")] * len(forms))
    assert len(first) == 2
    assert others == [first] * len(others)
    assert chatting.score([Problem("p", "how many?")], [("a",)]) == chatting.score(["how many?"], [("a",)])
    assert rerank(rows, SOLUTIONS, chatting) == rerank(talk, SOLUTIONS, chatting)


class Hears(Scorer):
    """Keeps the problems it was given."""

    kind = "orm"

    def score_each(self, problems, chains):
        self.heard = problems
        return [(0.0,)] * len(chains)


def test_every_scorer_gets_texts_or_messages():
    scorer = Hears()
    rerank([{"role": "user", "content": "?"}], SOLUTIONS, scorer)
    assert scorer.heard == [[Message("user", "?")]] * 2
    rerank(Problem("p", "?"), SOLUTIONS, scorer)
    assert scorer.heard == ["?", "?"]


@pytest.mark.parametrize(
    ("problems", "chains", "message"),
    [
        (["?"], None, "1 problems for a NoneType instead of chains"),
        (None, [("a",)], "a NoneType instead of problems for 1 chains"),
        ("?", [("a",)], "one text for 1 chains"),
        (["?"], "a", "1 problems for one text"),
        (["?"], [("a",), ("b",)], "1 problems for 2 chains"),
        (Problem("p", "?"), [("a",)], "a Problem instead of problems for 1 chains"),
    ],
)
def test_problems_and_chains_that_do_not_match(scorer, problems, chains, message):
    for score in (scorer.score, scorer.score_each):
        with pytest.raises(InputError, match=message) as caught:
            score(problems, chains)
        assert "one problem per chain" in caught.value.hint


def test_problems_and_chains_may_be_generated(scorer):
    expected = scorer.score(["?", "!"], STEPS)
    assert scorer.score((text for text in "?!"), iter(STEPS)) == expected
    assert scorer.score_each(np.array(["?", "!"]), iter(STEPS)) == expected


def test_a_closed_scorer_says_so(base_model):
    scorer = made(base_model, "prm")
    scorer.close()
    scorer.close()
    for use in (lambda: scorer.score(["?"], [("a",)]), lambda: rerank("?", SOLUTIONS, scorer)):
        with pytest.raises(ModelError, match="the scorer is closed") as caught:
            use()
        assert caught.value.hint

"""Scorers as rewards: every completion gets a number."""

import pickle

import numpy as np
import pytest

from prm.errors import InputError, ModelError
from prm.rl import ScorePart, StepReward, token_rewards
from prm.scoring.scorer import TOO_LONG, Refusal, Scorer
from prm.verifiers.adapters import OpenRlhfReward, SlimeReward, TrlReward, VerlReward
from prm.verifiers.rewards import RuleReward


class Lengths(Scorer):
    """A PRM whose score of a step is 1 / (1 + its number of characters); it refuses a chain with "!"."""

    kind = "prm"

    def score_each(self, problems, chains):
        return [
            Refusal(TOO_LONG) if "!" in "".join(steps) else tuple(1 / (1 + len(step.strip())) for step in steps)
            for steps in chains
        ]


class Outcome(Lengths):
    """An ORM whose reward is minus the number of steps."""

    kind = "orm"

    def score_each(self, problems, chains):
        return [(-float(len(steps)),) for steps in chains]


class Closed(Lengths):
    """A scorer that cannot be used."""

    def score_each(self, problems, chains):
        raise ModelError("the scorer is closed", "load it again")


def ids_of(tokenizer, *texts):
    return [[*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for text in texts]


def test_rewards_of_a_policys_tokens(tokenizer):
    reward = StepReward(Lengths(), tokenizer, "delta", refused=-1.0)
    completions = ids_of(tokenizer, "a\nbbb\n", "no!", "", " \n")
    steps, refused, empty, blank = reward(["p"] * 4, completions)
    assert steps.steps == ("a\n", "bbb\n")
    assert steps.scores == (0.5, 0.25)
    assert steps.rewards.tolist() == [0.5, -0.25]
    assert steps.ends[-1] == len(completions[0]) - 1
    assert steps.refusal is None
    for credit, ids, reason in ((refused, completions[1], TOO_LONG), (empty, [0], "empty chain")):
        assert (credit.rewards.tolist(), credit.ends, credit.scores) == ([-1.0], (len(ids) - 1,), ())
        assert credit.refusal.reason == reason
    assert blank.refusal.reason == "empty chain"


def test_texts_that_differ_in_number_are_refused(tokenizer):
    """More problems than completions would give each completion another's problem."""
    reward, completions = StepReward(Lengths(), tokenizer), ids_of(tokenizer, "a", "b")
    for problems in (["p"], ["p", "q", "r"]):
        with pytest.raises(InputError, match=f"{len(problems)} problems for 2 completions"):
            reward(problems, completions)
        with pytest.raises(InputError, match=f"{len(problems)} problems for 2 completions"):
            ScorePart(Lengths())(["a", "b"], ["", ""], problems)
    with pytest.raises(InputError, match="1 prompts for 2 completions"):
        reward(["p", "q"], completions, [[1]])


def test_prompts_may_be_arrays(tokenizer):
    completions = np.array([[7, 8], [9, 10]])
    plain = StepReward(Lengths(), tokenizer)(["p", "q"], completions.tolist(), [[5], [6]])
    for found, expected in zip(
        StepReward(Lengths(), tokenizer)(["p", "q"], completions, np.array([[5], [6]])), plain, strict=True
    ):
        assert (found.steps, found.ends) == (expected.steps, expected.ends)


def test_a_completion_without_tokens_holds_no_reward(tokenizer):
    for scorer in (Lengths(), Outcome()):
        none, some = StepReward(scorer, tokenizer, refused=-1.0)(["p", "p"], [[], *ids_of(tokenizer, "a")])
        assert (none.steps, none.rewards.tolist(), none.ends, none.scores) == ((), [], (), ())
        assert none.refusal.reason == "empty chain"
        assert token_rewards(none.rewards, none.ends, 0).tolist() == []
        assert some.refusal is None


def test_the_reward_of_an_orm_is_given_once(tokenizer):
    (credit,) = StepReward(Outcome(), tokenizer, "sum")(["p"], ids_of(tokenizer, "a\nb\nc"))
    assert (credit.rewards.tolist(), credit.ends) == ([-3.0], (5,))


@pytest.mark.parametrize(
    "settings", [{"form": "max"}, {"temperature": 0.0}, {"refused": float("nan")}, {"splitter": "comma"}]
)
def test_settings_are_checked_at_once(tokenizer, settings):
    with pytest.raises(InputError):
        StepReward(Lengths(), tokenizer, **settings)


def test_a_scorer_is_a_part_beside_rules():
    part = ScorePart(Lengths(), "mean")
    rule = RuleReward({"correct": 1.0, "prm": 0.5}, parts={"prm": part}, refused=-1.0)
    good, bad, silent = rule.many(["1 + 6\n7", "8!", ""], ["7", "7", "7"])
    assert good.parts == {"correct": 1.0, "prm": (1 / 6 + 1 / 2) / 2}
    assert good.total == pytest.approx(1 + 0.5 / 3)
    assert (good.refused, bad.refused, silent.refused) == ((), ("prm",), ("prm",))
    assert (bad.total, bad.parts) == (-0.5, {"correct": 0.0, "prm": -1.0})
    assert silent.total == -0.5
    assert pickle.loads(pickle.dumps(rule)).many(["7"], ["7"]) == rule.many(["7"], ["7"])


def test_the_number_of_a_part():
    assert ScorePart(Lengths())(["a\nbbb"], ["7"], ["p"]) == [0.25]  # the lowest, unless the scorer says otherwise
    assert ScorePart(Lengths(), "last")(["bbb\na"], ["7"], ["p"]) == [0.5]
    assert ScorePart(Outcome())(["a\nb", ""], ["", ""], ["p", "p"]) == [-2.0, None]
    with pytest.raises(InputError, match="unknown aggregator"):
        ScorePart(Lengths(), "median")
    with pytest.raises(ModelError, match="closed"):  # not a matter of one completion
        ScorePart(Closed())(["a"], ["7"], ["p"])


def test_any_function_is_a_part():
    def brevity(texts, golds, problems):
        assert (golds, problems) == (["7", "7"], ["p", "q"])
        return [None, float("inf")] if "none" in texts else [1, 0.5]

    rule = RuleReward({"brevity": 2.0}, parts={"brevity": brevity}, refused=0.25)
    assert [r.total for r in rule.many(["a", "b"], ["7", "7"], problems=["p", "q"])] == [2.0, 1.0]
    found = rule.many(["none", "b"], ["7", "7"], problems=["p", "q"])
    assert [(r.total, r.refused) for r in found] == [(0.5, ("brevity",))] * 2
    assert rule.many([], []) == []


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        ({"correct": 1}, {"parts": {"own": len}}, "need weights.*own"),
        ({"correct": 1}, {"parts": {"correct": len}}, "other names than the rules: correct"),
        ({"own": 1}, {}, "weights must name"),
        ({"own": 1}, {"parts": {"own": len}, "refused": float("nan")}, "refused must be finite"),
    ],
)
def test_parts_are_checked_at_once(weights, options, message):
    with pytest.raises(ValueError, match=message):
        RuleReward(weights, **options)


def test_a_part_must_give_one_number_each():
    rule = RuleReward({"own": 1}, parts={"own": lambda *_: [1.0]})
    with pytest.raises(ValueError, match=r"2 completions.*'own': 1"):
        rule.many(["a", "b"], ["", ""])


PART = {"prm": ScorePart(Lengths())}


def test_trl_shows_parts_and_refusals():
    columns = {}
    reward = TrlReward(RuleReward({"correct": 1.0, "prm": 1.0}, parts=PART))
    found = reward(
        [None, [{"role": "assistant", "content": "7"}], "Good! It is 7."],
        answer=["7"] * 3,
        log_extra=columns.__setitem__,
    )
    assert found == [0.0, 1.5, 1.0]
    assert columns["prm"] == [0.0, 0.5, 0.0]
    assert columns["refused"] == ["prm", "", "prm"]
    assert columns["correct"] == [0.0, 1.0, 1.0]


def test_trl_needs_gold_answers_for_correctness_alone():
    reward = TrlReward(RuleReward({"prm": 1.0}, parts=PART))
    assert reward(["7", "7"], prompts=["p", "q"]) == [0.5, 0.5]


def test_trl_gives_the_problem_or_else_the_prompt():
    asked = []
    part = {"own": lambda texts, golds, problems: asked.append(problems) or [1.0] * len(texts)}
    reward = TrlReward(RuleReward({"own": 1.0}, parts=part))
    reward(["7"], prompts=["Solve: 3 + 4"])
    reward(["7"], prompts=["Solve: 3 + 4"], problem=["3 + 4"])
    assert asked == [["Solve: 3 + 4"], ["3 + 4"]]


def test_verl_shows_parts_and_refusals():
    reward = VerlReward(RuleReward({"correct": 1.0, "prm": 1.0}, parts=PART, undecided=0.0))
    found = reward("gsm8k", "Good! It is 7.", "7", {"question": "3 + 4?"})
    assert (found["score"], found["acc"], found["prm"], found["refused"]) == (1.0, 1.0, 0.0, "prm")
    assert reward("gsm8k", "7", "7")["refused"] == ""
    assert VerlReward(RuleReward({"prm": 1.0}, parts=PART, undecided=0.0))("gsm8k", None, None)["score"] == 0.0
    with pytest.raises(ValueError, match="measured_in='text'"):
        VerlReward(RuleReward({"overlong": 1.0}, longest=9, undecided=0.0))


def test_openrlhf_shows_parts():
    reward = OpenRlhfReward(RuleReward({"correct": 1.0, "prm": 1.0}, parts=PART, undecided=0.0))
    found = reward(["3 + 4?\n7</s>", "3 + 4?\n"], ["3 + 4?\n"] * 2, ["7", "7"])
    assert found["rewards"] == [1.5, 0.0]
    assert found["extra_logs"]["prm"] == [0.5, 0.0]


def test_slime_shows_parts():
    reward = SlimeReward(RuleReward({"correct": 1.0, "prm": 1.0}, parts=PART))
    found = reward.remote({"prompt": "3 + 4?", "response": None, "label": "7"})
    assert (found["reward"], found["prm"]) == (0.0, 0.0)

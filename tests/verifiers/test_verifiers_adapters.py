"""The adapters, called as the tools call them, without the tools; `test_verifiers_tools` has those."""

import asyncio
import pickle
from types import SimpleNamespace

import pytest

from prm.verifiers import Policy, adapters
from prm.verifiers.adapters import (
    NemoGymReward,
    OpenRlhfReward,
    SlimeReward,
    TrlReward,
    accuracy_reward,
    answer_match,
    completion_text,
    compute_score,
    process_results,
    reward_func,
    slime_reward,
)
from prm.verifiers.rewards import RuleReward

TEXTS = ["The answer is 7", "The answer is 8", "I do not know"]


def messages(text):
    return [{"role": "assistant", "content": text}]


def trl(reward, completions, **columns):
    """Call a reward function with the arguments that the trainer passes."""
    prompts = ["What is 3 + 4?"] * len(completions)
    ids = [list(range(len(c) if isinstance(c, str) else 5)) for c in completions]
    extra = {"trainer_state": object(), "log_extra": None, "log_metric": None}
    return reward(**{"prompts": prompts, "completions": completions, "completion_ids": ids, **extra, **columns})


def test_trl_takes_texts_and_conversations():
    gold = ["7", "7", "7"]
    assert trl(accuracy_reward, TEXTS, solution=gold) == [1.0, 0.0, 0.0]
    assert trl(accuracy_reward, [messages(text) for text in TEXTS], answer=gold) == [1.0, 0.0, 0.0]


def test_trl_gets_none_for_undecided_answers():
    assert trl(accuracy_reward, TEXTS, solution=["7", "", None]) == [1.0, None, None]


def test_trl_gold_answers_can_be_numbers_and_solution_comes_first():
    assert trl(accuracy_reward, ["It is 7."], answer=[7]) == [1.0]
    assert trl(accuracy_reward, ["It is 7."], solution=[r"3 + 4 = \boxed{7}"], answer=["8"]) == [1.0]


def test_trl_without_gold_answers_is_refused():
    with pytest.raises(ValueError, match="'solution' or 'answer'"):
        trl(accuracy_reward, TEXTS)
    with pytest.raises(ValueError, match="zip"):
        trl(accuracy_reward, TEXTS, solution=["7"])
    with pytest.raises(TypeError, match="list"):
        trl(accuracy_reward, ["7"], solution=[["7"]])
    with pytest.raises(TypeError, match="bool"):
        trl(accuracy_reward, ["7"], solution=[True])


def test_trl_weights_the_parts_and_logs_them():
    columns = {}
    reward = TrlReward(RuleReward({"correct": 1.0, "overlong": 0.5}, longest=15, cache=10))
    completions = [messages("The answer is 7"), "The answer is 7", "The answer is 8", "7"]
    golds = ["7", "7", "", None]
    # Token ids from the helper: 5 for a conversation, one per character (15) for a text.
    found = trl(reward, completions, solution=golds, log_extra=lambda name, values: columns.update({name: values}))
    assert found == [1.0, 0.5, None, None]
    assert columns["correct"] == [1.0, 1.0, None, None]
    assert columns["overlong"] == [0.0, -1.0, -1.0, None]
    assert columns["verdict"][2:] == ["error: no answer in the gold", None]


def test_trl_reward_can_be_sent_to_another_process():
    reward = TrlReward(RuleReward({"correct": 1.0, "boxed": 0.5}))
    assert pickle.loads(pickle.dumps(reward))([r"\boxed{7}"], answer=["7"]) == [1.5]


CALL = {"role": "assistant", "content": None, "tool_calls": []}
BLOCKS = {"role": "assistant", "content": [{"type": "text", "text": "It is "}, {"type": "text", "text": "4."}]}


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ("as it is", "as it is"),
        ([CALL, {"role": "tool", "content": "4"}, *messages("It is 4.")], "It is 4."),
        ([BLOCKS], "It is 4."),
        ([CALL], ""),
        ([], ""),
    ],
)
def test_the_text_of_a_completion(completion, text):
    assert completion_text(completion) == text


@pytest.mark.parametrize(
    "completion",
    [None, [None], ["text"], [{"role": "assistant", "content": 4}], [{"content": [None, 7, {"text": None}]}], [{}], ()],
)
def test_a_completion_without_a_text_is_empty(completion):
    """A policy may write what it likes, and a trainer may hand on what it likes: neither ends a run."""
    assert completion_text(completion) == ""


def verl(text, gold, **reward_kwargs):
    """Call the score with the arguments of the reward manager, the router and the configuration."""
    row = {"data_source": "gsm8k", "solution_str": text, "ground_truth": gold, "extra_info": {"num_turns": None}}
    return compute_score(**row, reward_router_address=None, **reward_kwargs)


def test_verl_gets_a_score_and_its_parts():
    assert verl("3 + 4 is 7, so the answer is 7.0", "7") == {
        "score": 1.0,
        "correct": 1.0,
        "acc": 1.0,
        "decided": 1.0,
        "pred": "7",
        "verdict": "correct: equal as numbers",
    }
    wrong = verl("The answer is 8", "7")
    assert (wrong["score"], wrong["acc"], wrong["decided"], wrong["pred"]) == (0.0, 0.0, 1.0, "8")


def test_verl_undecided_is_a_number_marked_as_undecided():
    score = verl("The answer is 7", "")
    assert (score["score"], score["acc"], score["decided"], score["pred"]) == (0.0, 0.0, 0.0, "")
    assert score["verdict"] == "error: no answer in the gold"
    assert verl("The answer is 7", "", rules={"undecided": 0.5})["score"] == 0.5


def test_verl_rules_come_from_the_configuration():
    rules = {"weights": {"correct": 1.0, "boxed": 0.25, "overlong": 1.0}, "longest": 20, "cache": 20}
    score = verl(r"\boxed{7}", "7", rules=rules)  # 9 characters of 20
    assert (score["boxed"], score["overlong"]) == (1.0, -0.45)
    assert score["score"] == pytest.approx(0.8)
    assert verl("<think>a</think>b", "7", rules={"weights": {"think": 2.0}}) == {"score": 2.0, "think": 1.0}


def test_every_verl_score_has_the_same_fields():
    assert len({tuple(verl(text, gold)) for text in TEXTS for gold in ("7", "", 7)}) == 1


def test_verl_cannot_exclude_a_completion():
    for option in ("undecided", "no_answer"):
        with pytest.raises(ValueError, match="every completion"):
            verl("7", "7", rules={option: None})
    with pytest.raises(TypeError, match="dict"):
        verl("7", {"answer": "7"})


@pytest.mark.parametrize(
    ("doc", "results", "measures"),
    [
        ({"answer": "3 + 4 = 7\n#### 7"}, ["It is 7."], (1.0, 0.0, 0.0)),
        ({"solution": r"so \boxed{7}", "answer": None}, ["It is 8."], (0.0, 0.0, 0.0)),
        ({"target": 7}, ["I do not know"], (0.0, 1.0, 0.0)),
        ({"answer": ""}, ["It is 7."], (0.0, 0.0, 1.0)),
        ({"answer": "7"}, [["It is 7.", "It is 7", "It is 8.", "I do not know"]], (0.5, 0.25, 0.0)),
    ],
)
def test_harness_measures_of_a_document(doc, results, measures):
    found = process_results(doc, results)
    assert (found["exact_match"], found["no_answer"], found["undecided"]) == measures


def test_harness_document_without_a_gold_answer_is_refused():
    with pytest.raises(ValueError, match="question"):
        process_results({"question": "3 + 4?"}, ["7"])


def test_harness_metric():
    assert answer_match(references=["1/2"], predictions=["It is 0.5."]) == 1.0
    assert answer_match(references=["7", "7"], predictions=["7", "8"], ignore_case=True) == 0.5


def test_harness_measures_follow_a_policy():
    assert process_results({"answer": "9.8"}, ["9.79"])["exact_match"] == 0.0
    assert process_results({"answer": "9.8"}, ["9.79"], policy=Policy(relative=0.01))["exact_match"] == 1.0
    assert answer_match(["9.8"], ["9.79"], policy=Policy(relative=0.01)) == 1.0


def test_a_reward_has_the_name_under_which_trl_logs_it():
    """`GRPOTrainer` asks every reward function that is not a model for its `__name__`."""
    assert TrlReward(RuleReward()).__name__ == "rule_reward"
    assert TrlReward.__name__ == "TrlReward"


PROMPT = "What is 3 + 4? The answer is 99.\n"


def openrlhf(reward, texts, labels):
    """Call `reward_func` as the executor does, with the special tokens in the query."""
    queries = [f"<s>{PROMPT}{text}<|im_end|>\n" for text in texts]
    return reward(queries, [PROMPT] * len(texts), labels)


def test_openrlhf_gets_numbers_and_says_which_are_undecided():
    found = openrlhf(reward_func, [*TEXTS, "The answer is 7"], ["7", "7", "7", ""])
    assert found["rewards"] == found["scores"] == [1.0, 0.0, 0.0, 0.0]
    assert found["extra_logs"] == {"correct": [1.0, 0.0, 0.0, 0.0], "decided": [1.0, 1.0, 0.0, 0.0]}


def test_openrlhf_weights_the_parts():
    reward = OpenRlhfReward(RuleReward({"correct": 1.0, "boxed": 0.5}, undecided=0.25))
    found = openrlhf(reward, [r"\boxed{7}", r"\boxed{7}"], [7, ""])
    assert found["rewards"] == [1.5, 0.75]
    assert found["scores"] == [1.0, 0.25]
    assert OpenRlhfReward(RuleReward({"boxed": 1.0}, undecided=0.0))([""], [""], ["7"])["scores"] == [0.0]


def test_openrlhf_reads_the_completion_alone():
    long = "Think. " * 100 + PROMPT
    cut = f"{long[-300:]}I do not know"
    assert reward_func([cut], [long], ["99"])["rewards"] == [0.0]
    assert reward_func([f"{long}It is 7."], [long], ["7"])["rewards"] == [1.0]
    with pytest.raises(ValueError, match="does not contain"):
        reward_func(["It is 7."], [PROMPT], ["7"])


def test_openrlhf_cannot_exclude_a_completion():
    with pytest.raises(ValueError, match="OpenRLHF needs a number"):
        OpenRlhfReward(RuleReward())


@pytest.mark.parametrize("form", [OpenRlhfReward, NemoGymReward])
def test_without_token_ids_lengths_must_be_measured_in_text(form):
    with pytest.raises(ValueError, match="measured_in='text'"):
        form(RuleReward({"repetition": 1.0}, undecided=0.0))
    form(RuleReward({"repetition": 1.0}, undecided=0.0, measured_in="text"))


def sample(response, label):
    """A sample with the fields of slime's `Sample` that a reward function may use."""
    fields = {"prompt": PROMPT, "response": response, "label": label, "tokens": [1, 2, 3, 4, 5], "response_length": 3}
    return SimpleNamespace(**fields, metadata={"row": 1}, remove_sample=False)


def test_slime_removes_undecided_samples():
    samples = [sample(text, gold) for text, gold in zip([*TEXTS, "7"], ["7", "7", "7", ""], strict=True)]
    assert asyncio.run(slime_reward(None, samples)) == [1.0, 0.0, 0.0, 0.0]
    assert [one.remove_sample for one in samples] == [False, False, False, True]
    assert samples[0].metadata == {"row": 1, "verdict": "correct: same text", "reward_parts": {"correct": 1.0}}
    assert samples[3].metadata == {"row": 1, "verdict": "error: no answer in the gold", "reward_parts": {}}


def test_slime_takes_one_sample_and_its_tokens():
    reward = SlimeReward(RuleReward({"correct": 1.0, "overlong": 1.0}, longest=4, cache=2))
    assert asyncio.run(reward(None, sample("It is 7.", "7"))) == 0.5  # 3 tokens of at most 4
    assert asyncio.run(SlimeReward(RuleReward({"think": 1.0}))(None, sample("<think>a</think>b", "7"))) == 1.0


def test_slime_behind_an_address():
    rows = [{"prompt": PROMPT, "response": "It is 7.", "label": gold} for gold in ("7", "8", "")]
    found = [slime_reward.remote(row) for row in rows]
    assert [row["reward"] for row in found] == [1.0, 0.0, 0.0]
    assert [row["decided"] for row in found] == [1.0, 1.0, 0.0]
    assert found[2]["verdict"] == "error: no answer in the gold"


def nemo_gym(reward, texts, gold):
    """Call the reward with the request of a rollout whose last message follows a thought and a tool call."""
    message = {"type": "message", "content": [{"type": "output_text", "text": text} for text in texts]}
    output = [{"type": "reasoning", "summary": []}, {"type": "function_call", "name": "f"}, message]
    params = {"input": [{"role": "user", "content": PROMPT}]}
    request = {"responses_create_params": params, "response": {"output": output}, "expected_answer": gold}
    response = asyncio.run(reward(request))
    assert request.items() <= response.items()
    return response


def test_nemo_gym_masks_undecided_answers():
    reward = NemoGymReward(RuleReward())
    found = [nemo_gym(reward, [text], gold) for text, gold in ((TEXTS[0], 7), (TEXTS[1], 7), (TEXTS[2], 7), ("7", ""))]
    assert [row["reward"] for row in found] == [1.0, 0.0, 0.0, 0.0]
    assert [row["mask_sample"] for row in found] == [False, False, False, True]
    assert [row["failure_kind"] for row in found] == [None, None, None, "verifier_error"]
    assert found[3]["failure_reason"] == found[3]["verdict"] == "error: no answer in the gold"
    assert found[0]["extracted_answer"] == "7"


def test_nemo_gym_has_all_parts_in_every_response():
    reward = NemoGymReward(RuleReward({"correct": 1.0, "boxed": 0.5}))
    found = nemo_gym(reward, ["So ", r"\boxed{7}"], "7")
    assert (found["reward"], found["reward_components"]) == (1.5, {"correct": 1.0, "boxed": 1.0})
    masked = nemo_gym(reward, [r"\boxed{7}"], "")
    assert (masked["reward"], masked["reward_components"]) == (0.0, {"correct": 0.0, "boxed": 1.0})
    with pytest.raises(KeyError, match="expected_answer"):
        asyncio.run(reward({"response": {"output": []}}))


def test_nemo_gym_tells_parts_what_was_asked():
    seen = []

    def part(texts, _, problems):
        seen.extend(problems)
        return [1.0] * len(texts)

    reward = NemoGymReward(RuleReward({"correct": 1.0, "own": 1.0}, parts={"own": part}))
    assert nemo_gym(reward, ["7"], "7")["reward"] == 2.0
    system = {"role": "system", "content": "Be brief."}
    parts = {"role": "user", "content": [{"type": "input_text", "text": "3 +"}, {"type": "input_text", "text": " 4?"}]}
    for asked in ("3 + 4?", [system, parts, {"type": "function_call", "name": "f"}], None):
        request = {"responses_create_params": {"input": asked}, "response": {"output": []}, "expected_answer": "7"}
        asyncio.run(reward(request))
    asyncio.run(reward({"response": {"output": []}, "expected_answer": "7"}))
    assert seen == [PROMPT, "3 + 4?", [system, {"role": "user", "content": "3 + 4?"}], None, None]


def test_all_is_what_is_there():
    assert all(hasattr(adapters, name) for name in adapters.__all__)
    assert list(adapters.__all__) == sorted(adapters.__all__)

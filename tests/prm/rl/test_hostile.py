"""A thousand hostile completions, each with a defined reward: from the reward itself, and inside TRL's own trainer.

Last run with TRL 1.13.0.
"""

import math
import random

import pytest
from conftest import write_prm

from prm import load_scorer
from prm.rl import ScorePart
from prm.verifiers.adapters import TrlReward, VerlReward
from prm.verifiers.rewards import RuleReward

PIECES = [
    "", " ", "\n", "\n\n", "\t", "\x00", "\x0b", "\u2028", "\ufeff", "\ufffd", "\ud800", "\udfff", "\U0001f642",
    "<s>", "</s>", "<pad>", "<unk>", "<|im_end|>", "<|endoftext|>", "<extra_0>", "ки", "\u0301" * 50, "\u202e",
    "7", "-0", "1e999", "9**9**9", "9!!!!", "0.1" * 30, r"\boxed{", r"\boxed{}", r"\boxed{7}", "}" * 20, "{" * 20,
    r"\frac{1}{0}", r"\sqrt{-1}", "$$", "The answer is ", "#### 7", "Step 1:", "<think>", "</think>", "import os",
    "a" * 3000, "word " * 500, "\n".join("step" for _ in range(300)),
]  # fmt: skip


def hostile(count, seed=0):
    """Texts, conversations and nothing, as trainers hand them on."""
    rng = random.Random(seed)
    for number in range(count):
        text = "".join(rng.choices(PIECES, k=rng.choice((0, 1, 2, 3, 5))))
        forms = (
            text,
            [{"role": "assistant", "content": text}],
            [{"role": "assistant", "content": [{"type": "text", "text": text}, {"type": "image"}]}],
            [{"role": "assistant", "content": None, "tool_calls": [{"function": {"name": text}}]}],
            [{"role": "tool", "content": {"result": text}}],
            [],
            None,
        )
        yield forms[number % len(forms)] if number % 3 else text


@pytest.fixture(scope="module")
def rule(tmp_path_factory, base_model, tokenizer):
    scorer = load_scorer(write_prm(tmp_path_factory.mktemp("prm"), base_model, tokenizer))
    weights = {"correct": 1.0, "boxed": 0.1, "repetition": 0.1, "prm": 0.5}
    return RuleReward(weights, parts={"prm": ScorePart(scorer)}, refused=-1.0, undecided=0.0, measured_in="text")


def test_every_completion_has_a_reward(rule):
    columns = {}
    completions = list(hostile(1000))
    found = TrlReward(rule)(completions, answer=["7"] * 1000, prompts=["3 + 4?"] * 1000, log_extra=columns.__setitem__)
    assert len(found) == 1000
    assert all(math.isfinite(reward) for reward in found)
    is_refused = [bool(names) for names in columns["refused"]]
    assert [value == -1.0 for value in columns["prm"]] == is_refused
    assert 200 < sum(is_refused) < 900
    assert all(is_refused[i] for i, completion in enumerate(completions) if not completion)


def test_verl(rule):
    reward = VerlReward(rule)
    texts = [completion for completion in hostile(300) if completion is None or isinstance(completion, str)]
    found = [reward("gsm8k", text, "7", {"question": "3 + 4?"}) for text in texts]
    assert all(math.isfinite(row["score"]) for row in found)
    assert len({tuple(row) for row in found}) == 1


@pytest.mark.filterwarnings("ignore")
def test_inside_trl(rule, tmp_path, base_model):
    trl = pytest.importorskip("trl")
    from datasets import Dataset

    reward = TrlReward(rule)
    trainer = trl.GRPOTrainer(
        model=str(base_model),
        reward_funcs=[reward],
        args=trl.GRPOConfig(
            output_dir=str(tmp_path),
            use_cpu=True,
            max_steps=2,
            per_device_train_batch_size=4,
            num_generations=4,
            max_completion_length=8,
            logging_steps=1,
            report_to=[],
        ),
        train_dataset=Dataset.from_list([{"prompt": "3 + 4 = ", "answer": "7"}] * 8),
    )
    trainer.train()  # a random model: what it writes is hostile enough
    assert math.isfinite(trainer.state.log_history[0]["rewards/rule_reward/mean"])
    inputs, prompts = [{"prompt": "3 + 4 = ", "answer": "7"}] * 1000, ["3 + 4 = "] * 1000
    rewards = trainer._calculate_rewards(inputs, prompts, list(hostile(1000)), [[1]] * 1000)
    assert rewards.shape == (1000, 1)
    assert rewards.isfinite().all()
    assert rewards[:, 0].tolist() == pytest.approx(reward(list(hostile(1000)), answer=["7"] * 1000, prompts=prompts))

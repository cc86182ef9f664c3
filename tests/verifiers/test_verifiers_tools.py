"""The adapters inside the tools that call them. A tool that is not installed skips its test.

Last run with TRL 1.16.0, verl 0.9.1, OpenRLHF 0.11.2, miles 0.0.2 (a fork of slime, which is on no package index), NeMo
Gym 0.7.0, lm-evaluation-harness 0.4.13 and Inspect 0.3.285.
"""

import asyncio
import json
import math
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from places import ROOT

from prm.verifiers import Policy
from prm.verifiers.adapters import NemoGymReward, TrlReward, accuracy_reward, inspect_scorer, slime_reward
from prm.verifiers.rewards import RuleReward

pytestmark = pytest.mark.filterwarnings("ignore")  # those of other tools
TEXTS = ["The answer is 7", "The answer is 8", "I do not know", "The answer is 7"]
GOLDS = ["7", "7", "7", ""]
"""A correct answer, an incorrect one, none, and one that cannot be checked."""


class Characters:
    """A tokenizer: one token per character."""

    def __call__(self, text, **_):
        import torch

        return {"input_ids": torch.tensor([[ord(character) for character in text]])}

    def decode(self, ids, **_):
        return "".join(chr(i) for i in ids)


def test_trl(tmp_path):
    trl = pytest.importorskip("trl")
    from datasets import Dataset

    trainer = trl.GRPOTrainer(
        model=str(ROOT / "benchmarks" / "arithmetic" / "policy"),
        reward_funcs=[accuracy_reward, TrlReward(RuleReward({"boxed": 1.0}))],
        args=trl.GRPOConfig(
            output_dir=str(tmp_path),
            use_cpu=True,
            max_steps=1,
            per_device_train_batch_size=2,
            num_generations=2,
            max_completion_length=8,
            logging_steps=1,
            report_to=[],
        ),
        train_dataset=Dataset.from_list([{"prompt": "3 + 4 = ", "answer": "7"}] * 4),
    )
    trainer.train()
    assert "rewards/accuracy_reward/mean" in trainer.state.log_history[0]
    assert "rewards/rule_reward/mean" in trainer.state.log_history[0]
    inputs = [{"prompt": "3 + 4 = ", "answer": gold} for gold in GOLDS]
    prompts, ids = [row["prompt"] for row in inputs], [[1, 2]] * 4
    for completions in (TEXTS, [[{"role": "assistant", "content": text}] for text in TEXTS]):
        rewards = trainer._calculate_rewards(inputs, prompts, completions, ids)[:, 0].tolist()
        assert rewards[:3] == [1.0, 0.0, 0.0]
        assert math.isnan(rewards[3])  # excluded


def verl_scores(function, texts, golds, manager="naive", **kwargs):
    """What verl's reward loop makes of completions."""
    import numpy as np
    import torch
    from omegaconf import OmegaConf
    from verl import DataProto
    from verl.trainer.ppo.reward import load_reward_manager

    settings = {"custom_reward_function": function | kwargs, "reward_manager": {"source": "register", "name": manager}}

    def row(text, gold):
        responses = torch.tensor([[ord(character) for character in text]], dtype=torch.long)
        tensors = {"responses": responses, "attention_mask": torch.ones_like(responses)}
        columns = {"data_source": "gsm8k", "reward_model": {"ground_truth": gold}, "extra_info": {}}
        return DataProto.from_dict(tensors, {name: np.array([value], dtype=object) for name, value in columns.items()})

    async def run():
        loaded = load_reward_manager(OmegaConf.create({"reward": settings}), Characters())
        return await asyncio.gather(*(loaded.run_single(row(*pair)) for pair in zip(texts, golds, strict=True)))

    return asyncio.run(run())


@pytest.mark.parametrize("manager", ["naive", "dapo"])
def test_verl(manager):
    pytest.importorskip("verl")
    function = {"path": "pkg://prm.verifiers.adapters", "name": "compute_score"}
    kwargs = {"rules": {"weights": {"correct": 1.0, "boxed": 0.5}}}
    found = verl_scores(function, TEXTS, GOLDS, manager, reward_kwargs=kwargs)
    assert [row["reward_score"] for row in found] == [1.0, 0.0, 0.0, 0.0]
    assert [row["reward_extra_info"]["decided"] for row in found] == [1.0, 1.0, 0.0, 0.0]
    assert found[3]["reward_extra_info"]["verdict"] == "error: no answer in the gold"


def test_verl_with_a_rule_from_a_file(tmp_path):
    """Parts of one's own, and completions that such a part refuses."""
    pytest.importorskip("verl")
    file = tmp_path / "reward.py"
    file.write_text(
        "from prm.verifiers.adapters import VerlReward\nfrom prm.verifiers.rewards import RuleReward\n"
        "def brief(texts, golds, problems):\n"
        "    return [1.0 if 0 < len(text) < 99 and text.isascii() else None for text in texts]\n"
        "rule = RuleReward({'correct': 1.0, 'brief': 0.5}, parts={'brief': brief}, refused=-1.0, undecided=0.0)\n"
        "compute_score = VerlReward(rule)\n"
    )
    texts = ["The answer is 7", "", "\ud800 7", "a" * 9999, "<|im_end|></s>", "\x00"]
    found = verl_scores({"path": str(file), "name": "compute_score"}, texts, ["7"] * len(texts))
    assert [row["reward_score"] for row in found] == [1.5, -0.5, -0.5, -0.5, 0.5, 0.5]
    assert [row["reward_extra_info"]["refused"] for row in found] == ["", "brief", "brief", "brief", "", ""]


def test_openrlhf(tmp_path):
    agent = pytest.importorskip("openrlhf.utils.agent")
    rewards = tmp_path / "rewards.py"
    rewards.write_text("from prm.verifiers.adapters import reward_func\n")
    executor = agent.SingleTurnAgentExecutor(str(rewards))
    prompt = "What is 3 + 4? The answer is 99.\n"

    async def one(text, gold):
        async def generate(*_, **__):
            ids = [ord(character) for character in f"{text}<|im_end|>"]
            return SimpleNamespace(outputs=[SimpleNamespace(token_ids=ids, finish_reason="stop", logprobs=None)])

        sampling = SimpleNamespace(max_tokens=100, logprobs=None)
        engine = SimpleNamespace(generate=generate)
        return await executor.execute(prompt, gold, sampling, 1_000, Characters(), engine)

    found = [asyncio.run(one(text, gold)) for text, gold in zip(TEXTS, GOLDS, strict=True)]
    assert [row["reward"] for row in found] == [row["scores"] for row in found] == [[1.0], [0.0], [0.0], [0.0]]
    assert [row["extra_logs"]["decided"] for row in found] == [[1.0], [1.0], [0.0], [0.0]]


class SlimeServer(BaseHTTPRequestHandler):
    """A web server for `slime_reward.remote`."""

    def do_POST(self):
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(slime_reward.remote(payload)).encode())

    def log_message(self, *_):
        """Print nothing."""


def test_miles():
    rewards = pytest.importorskip("miles.rollout.rm_hub")
    from miles.utils.types import Sample

    samples = [Sample(response=text, label=gold) for text, gold in zip(TEXTS, GOLDS, strict=True)]
    arguments = SimpleNamespace(custom_rm_path="prm.verifiers.adapters.slime_reward", rm_type=None)
    assert asyncio.run(rewards.batched_async_rm(arguments, samples)) == [1.0, 0.0, 0.0, 0.0]
    assert asyncio.run(rewards.async_rm(arguments, samples[0])) == 1.0
    assert [sample.remove_sample for sample in samples] == [False, False, False, True]
    assert samples[3].metadata["verdict"] == "error: no answer in the gold"

    with HTTPServer(("127.0.0.1", 0), SlimeServer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        arguments = SimpleNamespace(
            custom_rm_path=None, rm_type="remote_rm", rm_url=f"http://127.0.0.1:{server.server_port}"
        )
        found = asyncio.run(rewards.batched_async_rm(arguments, samples))
        server.shutdown()
    for sample, reward in zip(samples, found, strict=True):
        sample.reward = reward
    keyed = SimpleNamespace(reward_key="reward")
    assert [sample.get_reward_value(keyed) for sample in samples] == [1.0, 0.0, 0.0, 0.0]
    assert [reward["decided"] for reward in found] == [1.0, 1.0, 0.0, 0.0]


def test_nemo_gym():
    gym = pytest.importorskip("nemo_gym.base_resources_server")
    from fastapi.testclient import TestClient
    from nemo_gym.server_utils import ServerClient
    from pydantic import ConfigDict

    reward = NemoGymReward(RuleReward())

    class AnswerRequest(gym.BaseVerifyRequest):
        expected_answer: str

    class AnswerResponse(gym.BaseVerifyResponse):
        model_config = ConfigDict(extra="allow")

    class AnswerServer(gym.SimpleResourcesServer):
        async def verify(self, body: AnswerRequest) -> AnswerResponse:
            return AnswerResponse(**await reward(body.model_dump()))

    config = gym.BaseResourcesServerConfig(host="127.0.0.1", port=8080, entrypoint="", name="answers")
    client = TestClient(AnswerServer(config=config, server_client=MagicMock(spec=ServerClient)).setup_webserver())

    def request(text, gold):
        block = {"type": "output_text", "text": text, "annotations": []}
        message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [block]}
        about = {"id": "r", "created_at": 0, "model": "m", "object": "response"}
        tools = {"parallel_tool_calls": False, "tool_choice": "none", "tools": []}
        response = {**about, **tools, "output": [message]}
        return {"responses_create_params": {"input": "3 + 4?"}, "response": response, "expected_answer": gold}

    answers = [client.post("/verify", json=request(text, gold)) for text, gold in zip(TEXTS, GOLDS, strict=True)]
    found = [answer.raise_for_status().json() for answer in answers]
    assert [row["reward"] for row in found] == [1.0, 0.0, 0.0, 0.0]
    assert [row["mask_sample"] for row in found] == [False, False, False, True]
    assert (found[3]["failure_kind"], found[3]["verdict"]) == ("verifier_error", "error: no answer in the gold")


TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {rows}}}
test_split: train
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
"""
MEASURES = """
process_results: !function prm.verifiers.adapters.process_results
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
  - {metric: no_answer, aggregation: mean, higher_is_better: false}
  - {metric: undecided, aggregation: mean, higher_is_better: false}
"""
METRIC = """
metric_list:
  - {metric: !function prm.verifiers.adapters.answer_match, aggregation: mean, higher_is_better: true}
"""


def test_lm_evaluation_harness(tmp_path, monkeypatch):
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    class Canned(LM):
        """Answers by the number of the question."""

        def generate_until(self, requests, **_):
            return [TEXTS[int(request.args[0])] for request in requests]

        def loglikelihood(self, requests, **_):
            raise NotImplementedError

        loglikelihood_rolling = loglikelihood

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    rows = tmp_path / "rows.json"
    rows.write_text("".join(json.dumps({"question": str(i), "answer": gold}) + "\n" for i, gold in enumerate(GOLDS)))
    for name, measures in (("measures", MEASURES), ("metric", METRIC)):
        (tmp_path / f"{name}.yaml").write_text(TASK.format(name=f"prm_{name}", rows=rows) + measures)
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    done = lm_eval.simple_evaluate(Canned(), tasks=["prm_measures", "prm_metric"], task_manager=manager)
    results = done["results"]["prm_measures"]
    found = [results[f"{name},none"] for name in ("exact_match", "no_answer", "undecided")]
    assert found == [0.25, 0.25, 0.25]
    assert done["results"]["prm_metric"]["answer_match,none"] == 0.25


def test_inspect(tmp_path):
    inspect_ai = pytest.importorskip("inspect_ai")
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    texts = [*TEXTS, "The answer is 60.3"]
    targets = [*GOLDS, ["60%", "60"]]
    outputs = [ModelOutput.from_content("mockllm", text) for text in texts]
    for output in outputs:
        output.usage = ModelUsage()  # or else a tokenizer is downloaded to count tokens
    model = get_model("mockllm/model", custom_outputs=outputs)
    samples = [Sample(input="3 + 4?", target=target) for target in targets]
    task = inspect_ai.Task(dataset=samples, scorer=inspect_scorer(policy=Policy(relative=0.01)))
    (log,) = inspect_ai.eval(task, model=model, log_dir=str(tmp_path), display="none", max_samples=1)
    scores = [sample.scores["answer"] for sample in log.samples]
    assert [score.value for score in scores][:3] == ["C", "I", "N"]
    assert math.isnan(scores[3].value)
    assert scores[3].explanation == "no answer in the gold"
    assert scores[4].value == "C"
    assert log.results.scores[0].metrics["accuracy"].value == 0.5  # of four
    assert log.results.scores[0].unscored_samples == 1

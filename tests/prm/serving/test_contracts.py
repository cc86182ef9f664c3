"""Requests as other tools send them: their own client where it is installed, else one written from its source."""

import asyncio
import json
import shutil
import subprocess

import aiohttp
import httpx
import openai
import pytest
from documents import blocks
from fake_scorers import number, serving_fakes

import prm
from prm.data.records import Message
from prm.serving.app import ROUTES
from prm.serving.contracts.prompts import conversation_in, problem_in, turns_in

PROBLEM = "What is 3 + 4?"
STEPS = ["3 + 4 = 7\n", "The answer is 7"]
TEXT = "".join(STEPS)
SCORES = [number(PROBLEM + step) for step in STEPS]
CHATML = f"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n{PROBLEM}<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def url():
    with serving_fakes("usual") as (address, _):
        yield address


def post(url, path, status=200, **body):
    reply = httpx.post(url + path, json=body)
    assert reply.status_code == status, reply.text
    return reply.json() if status == 200 else reply.json()["error"]["message"]


TEMPLATES = {
    "ChatML": (CHATML, "<|im_end|>"),
    "Llama 3": (
        f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user"
        f"<|end_header_id|>\n\n{PROBLEM}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|eot_id|>",
    ),
    "Gemma": (f"<bos><start_of_turn>user\n{PROBLEM}<end_of_turn>\n<start_of_turn>model\n", "<end_of_turn>"),
    "DeepSeek": (
        f"<\uff5cbegin\u2581of\u2581sentence\uff5c><\uff5cUser\uff5c>{PROBLEM}<\uff5cAssistant\uff5c>",
        "<\uff5cend\u2581of\u2581sentence\uff5c>",
    ),
    "Mistral": (f"<s>[INST] {PROBLEM} [/INST]", ""),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_markup_of_a_policy_is_taken_off(name):
    prompt, end = TEMPLATES[name]
    assert problem_in(prompt) == PROBLEM
    assert conversation_in(prompt + TEXT + end) == (PROBLEM, TEXT)


def test_a_prompt_without_markup_is_the_problem():
    assert problem_in("If 3 < 4 [and] so on?") == "If 3 < 4 [and] so on?"
    assert turns_in("<|im_start|>") == []
    assert conversation_in(TEXT) is None
    asked = [Message("system", "s"), Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
    assert problem_in(asked) == asked[1:]


class OpenRlhfClient:
    """What `SingleTurnAgentExecutor._fetch_rewards_via_http` of OpenRLHF sends, and what of the answer it uses."""

    def __init__(self, url):
        self.url = url

    async def __call__(self, queries, prompts, labels):
        payload = {"query": queries, "prompts": prompts, "labels": labels}
        async with aiohttp.ClientSession() as session, session.post(self.url, json=payload) as response:
            response.raise_for_status()
            info = await response.json()
        return info.get("rewards"), info.get("scores") or info.get("rewards"), info.get("extra_logs") or {}


def test_openrlhf(url):
    queries, prompts = [CHATML + TEXT + "<|im_end|>", CHATML + "So 8<|im_end|>"], [CHATML, CHATML]
    rewards, scores, logs = asyncio.run(OpenRlhfClient(url + "/openrlhf")(queries, prompts, ["7", 7]))
    assert rewards == [min(SCORES), number(PROBLEM + "So 8")]
    assert scores == [1.0, 0.0]
    assert logs == {"score": rewards, "correct": [1.0, 0.0], "decided": [1.0, 1.0], "refused": [0.0, 0.0]}
    rewards, *_ = asyncio.run(OpenRlhfClient(url + "/openrlhf?reward=verdict")(queries, prompts, ["7", "7"]))
    assert rewards == [1.0, 0.0]
    rewards, scores, _ = asyncio.run(OpenRlhfClient(url + "/openrlhf?aggregate=last")(queries, prompts, [None, None]))
    assert rewards == scores == [SCORES[1], number(PROBLEM + "So 8")]


def test_openrlhf_is_told_of_what_has_no_reward(url):
    body = {"query": [PROBLEM + "TOO LONG"], "prompts": [PROBLEM], "labels": [None]}
    assert "longer than the model's context" in post(url, "/openrlhf", 422, **body)
    found = post(url, "/openrlhf?refused=-1", **body)
    assert (found["rewards"], found["extra_logs"]["refused"]) == ([-1.0], [1.0])
    assert "does not contain" in post(url, "/openrlhf", 400, query=["other"], prompts=[PROBLEM], labels=[""])
    assert "differ in number" in post(url, "/openrlhf", 400, query=[], prompts=[PROBLEM], labels=[""])
    assert "no gold answer" in post(url, "/openrlhf?reward=verdict", 400, **body)
    assert "unknown field `rewards`" in post(url, "/openrlhf?rewards=verdict", 400, **body)


async def slime_remote_rm(rm_url, prompt, response, label):
    """What slime's `remote_rm` sends."""
    payload = {"prompt": prompt, "response": response, "label": label}
    async with aiohttp.ClientSession() as session, session.post(rm_url, json=payload) as reply:
        reply.raise_for_status()
        return await reply.json()


def test_slime(url):
    messages = [{"role": "user", "content": PROBLEM}]
    for prompt in (CHATML, messages, PROBLEM):
        assert asyncio.run(slime_remote_rm(url + "/slime", prompt, TEXT + "<|im_end|>", "7")) == min(SCORES)
    assert asyncio.run(slime_remote_rm(url + "/slime?reward=verdict", PROBLEM, TEXT, 8)) == 0.0
    reward = asyncio.run(slime_remote_rm(url + "/slime?scorer=orm", PROBLEM, TEXT, None))
    assert reward == 10 * number(PROBLEM + TEXT) - 5
    assert "empty chain" in post(url, "/slime", 422, prompt=PROBLEM, response=" <|im_end|>")
    for number_of_none in ("nan", "inf", "-inf"):
        said = post(url, f"/slime?refused={number_of_none}", 400, prompt=PROBLEM, response="")
        assert f"refused={number_of_none} is not a number" in said
    assert "error" in post(url, "/slime?reward=verdict", 422, prompt=PROBLEM, response="7", label="(((")


def responses(text):
    """A response of the Responses API, as NeMo Gym sends it."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": content}
    return {"id": "r", "object": "response", "output": [{"type": "reasoning", "summary": []}, message]}


@pytest.mark.parametrize(
    "asked",
    [
        PROBLEM,
        [{"role": "user", "content": PROBLEM}],
        [{"role": "user", "content": [{"type": "input_text", "text": PROBLEM}]}],
    ],
)  # fmt: skip
def test_nemo_gym(url, asked):
    body = {"responses_create_params": {"input": asked, "tools": []}, "response": responses(TEXT), "agent_ref": "a"}
    assert post(url, "/seed_session") == {}
    found = post(url, "/verify", **body, expected_answer="7")
    assert body.items() <= found.items(), "the request is repeated"
    assert (found["reward"], found["step_scores"], found["mask_sample"]) == (min(SCORES), SCORES, False)
    assert found["reward_components"] == {"score": min(SCORES), "correct": 1.0, "decided": 1.0}
    assert (found["failure_kind"], found["extracted_answer"]) == (None, "7")
    assert post(url, "/verify?reward=verdict", **body, expected_answer="8")["reward"] == 0.0


def test_nemo_gym_masks_what_has_no_reward(url):
    body = {"responses_create_params": {"input": PROBLEM}, "response": responses("TOO LONG")}
    found = post(url, "/verify?refused=0", **body)
    assert (found["reward"], found["mask_sample"], found["failure_kind"]) == (0.0, True, "verifier_error")
    assert found["failure_reason"].startswith("longer than the model's context")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"response": {}}, "'responses_create_params' is missing"),
        ({"responses_create_params": {"input": PROBLEM}, "response": {}}, "'output' is missing"),
        ({"responses_create_params": None, "response": {}}, "a part of it is of another type"),
        ({"responses_create_params": {"input": PROBLEM}, "response": {"output": 3}}, "a part of it is of another type"),
        ({"responses_create_params": {"input": 3}, "response": {}}, "Expected `str | array`, got `int`"),
    ],
)
def test_nemo_gym_is_told_what_is_wrong_with_a_body(url, body, why):
    error = post(url, "/verify", 400, **body)
    assert "not one of NeMo Gym's" in str(error)
    assert why in str(error)


def test_vllm_by_the_client_of_openai(url):
    with openai.OpenAI(base_url=url + "/v1", api_key="-") as client:
        assert [model.id for model in client.models.list()] == ["prm", "orm"]
    with openai.OpenAI(base_url=url, api_key="-") as client:
        messages = [{"role": "system", "content": "-"}, {"role": "user", "content": PROBLEM}]
        messages.append({"role": "assistant", "content": TEXT})
        found = client.post("/pooling", cast_to=object, body={"model": "prm", "messages": messages})
        assert [item["data"] for item in found["data"]] == [[[score] for score in SCORES]]
        with pytest.raises(openai.NotFoundError, match="'gpt' is not served"):
            client.post("/pooling", cast_to=object, body={"model": "gpt", "messages": messages})


def test_vllm_pooling_with_the_marker_of_qwens_cards(url):
    marked = "3 + 4 = 7<extra_0>The answer is 7<extra_0>"
    messages = [{"role": "user", "content": PROBLEM}, {"role": "assistant", "content": marked}]
    (item,) = post(url, "/pooling", model="prm", messages=messages)["data"]
    assert item["data"] == [[number(PROBLEM + "3 + 4 = 7")], [number(PROBLEM + "The answer is 7")]]


def test_vllm_classify_as_verl_asks(url):
    """verl renders a conversation by the template of its reward model, and reads `data[-1].probs[-1]`."""
    body = {"model": "orm", "input": CHATML + TEXT + "<|im_end|>\n", "activation": False}
    found = post(url, "/classify", **body)
    assert found["data"][-1]["probs"][-1] == 10 * number(PROBLEM + TEXT) - 5
    assert "no conversation in a known chat template" in post(url, "/classify", 400, input="plain text")
    assert "unknown field `truncate_prompt_tokens`" in post(url, "/classify", 400, input="x", truncate_prompt_tokens=9)
    assert "not the assistant's" in post(url, "/classify", 400, messages=[{"role": "user", "content": "x"}])


@pytest.mark.parametrize("names", [("queries", "documents"), ("text_1", "text_2"), ("data_1", "data_2")])
def test_vllm_score(url, names):
    found = post(url, "/score", model="prm", **{names[0]: PROBLEM, names[1]: [TEXT, "So 8"]})
    assert [item["score"] for item in found["data"]] == [min(SCORES), number(PROBLEM + "So 8")]
    assert "2 queries for 1 documents" in post(url, "/score", 400, **{names[0]: ["a", "b"], names[1]: "c"})
    assert "chain 0: empty chain" in post(url, "/score", 422, **{names[0]: "a", names[1]: ""})


def test_vllm_rerank(url):
    texts = ["So 8", TEXT, "So 9"]
    found = post(url, "/rerank", model="prm", query=PROBLEM, documents=texts, top_n=2)
    outcomes = [number(PROBLEM + "So 8"), min(SCORES), number(PROBLEM + "So 9")]
    order = sorted(range(3), key=lambda place: -outcomes[place])[:2]
    assert [item["index"] for item in found["results"]] == order
    assert [item["relevance_score"] for item in found["results"]] == [outcomes[place] for place in order]
    assert [item["document"]["text"] for item in found["results"]] == [texts[place] for place in order]
    given = {"query": PROBLEM, "documents": texts}
    assert "top_n" in post(url, "/rerank", 400, **given, top_n=-1), "which would leave out the last"
    bare = post(url, "/rerank", **given, return_documents=False)["results"]
    assert [sorted(item) for item in bare] == [["index", "relevance_score"]] * 3


def test_a_reward_function_of_trl(url):
    """TRL's GRPO calls `f(prompts, completions, **columns)`, sync or async, and leaves out None."""
    scorer = prm.RemoteScorer(url)

    async def step_reward(prompts, completions, **_):
        chains = [prm.split_steps(completion) for completion in completions]
        found = await scorer.score_async(prompts, chains)
        return [None if isinstance(item, prm.Refusal) else min(item) for item in found]

    rewards = asyncio.run(step_reward([PROBLEM, PROBLEM], [TEXT, "TOO LONG"], completion_ids=[[1], [2]]))
    scorer.close()
    assert rewards == [min(SCORES), None]


EXAMPLES = [block for block in blocks("docs/serving.md", "") if block.startswith("curl")]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_of_the_docs_are_answered(url):
    for example in EXAMPLES:
        command = example.replace("http://localhost:8400", url)
        said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
        found = json.loads(said)
        assert not isinstance(found, dict) or "error" not in found, f"{example}\n{said}"


def test_every_route_has_an_example():
    assert not [path for path in ROUTES if path != "/seed_session" and f"8400{path}" not in "".join(EXAMPLES)]

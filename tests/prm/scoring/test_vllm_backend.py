"""vLLM gives the same raw outputs as transformers, for every architecture it serves and in any batch."""

import gc
import pickle
import warnings
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from families import qwen_tokenizer
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    LlamaForTokenClassification,
    Qwen2Config,
    Qwen2ForTokenClassification,
)

from prm.benchmarks.perf.job import server
from prm.errors import ModelError
from prm.models.architectures import load_config
from prm.models.checkpoint import Metadata
from prm.models.conversion import to_qwen2_process_reward
from prm.models.public import load_reading
from prm.scoring import loading, vllm_backend
from prm.scoring.loading import load_scorer
from prm.scoring.remote import upstream
from prm.scoring.vllm_backend import VllmBackend

SIZES = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
         "num_key_value_heads": 1, "head_dim": 32, "max_position_embeddings": 256}  # fmt: skip
SAME = 1e-4
TEXTS = [f"what is {i} + {i * i}?" + " please" * (i % 5) for i in range(60)]
CHAINS = [tuple(f"So {j} and {i}.\n" for j in range(i % 9 + 1)) for i in range(60)]


def save(directory, model_class, config_class, kind):
    torch.manual_seed(0)
    tokenizer = qwen_tokenizer()
    labels = 1 if kind == "orm" else 2
    config = config_class(**SIZES, vocab_size=len(tokenizer), num_labels=labels, pad_token_id=tokenizer.pad_token_id)
    model = model_class(config)
    for name, parameter in model.named_parameters():
        if "norm" not in name:  # with the initial weights, scores would not depend on earlier tokens
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    Metadata(kind).save(directory)
    return directory


def converted(directory):
    to_qwen2_process_reward(
        save(directory / "source", Qwen2ForTokenClassification, Qwen2Config, "prm"), directory / "to"
    )
    return directory / "to"


def as_trl_saves_it(directory):
    """A model and its tokenizer, nothing of ours; checked against the real TRL 1.13.0."""
    (save(directory, Qwen2ForTokenClassification, Qwen2Config, "prm") / "prm.json").unlink()
    (directory / "training_args.bin").write_bytes(b"a pickle, which nobody opens")
    return directory


MADE = {
    "llama, outcome": lambda d: save(d, LlamaForSequenceClassification, LlamaConfig, "orm"),
    "qwen2 process reward": converted,
}
CACHED = {"enable_prefix_caching": True, "enable_chunked_prefill": True, "max_num_batched_tokens": 64}
OPTIONS = {"qwen2 process reward": CACHED}


@pytest.fixture(scope="module", params=MADE)
def both(request, tmp_path_factory):
    """The same model in this process and in vLLM; the engine starts once per model."""
    path = str(MADE[request.param](tmp_path_factory.mktemp("model")))
    served = load_scorer(path, backend="vllm", engine_options=OPTIONS.get(request.param))
    pair = SimpleNamespace(path=path, ours=load_scorer(path), served=served)
    del served
    yield pair
    pair.served.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # vLLM leaves its sockets' context to the collector
        del pair.served
        gc.collect()


def furthest(some, others):
    return max(abs(a - b) for one, other in zip(some, others, strict=True) for a, b in zip(one, other, strict=True))


@pytest.mark.engine
class TestEngine:
    def test_scores_are_the_same_in_any_batch(self, both):
        ours, served = both.ours.score(TEXTS, CHAINS), both.served.score(TEXTS, CHAINS)
        assert [len(s) for s in served] == ([1] * 60 if both.ours.kind == "orm" else [len(c) for c in CHAINS])
        assert furthest(ours, served) < SAME
        assert furthest(ours, ours[::-1] if both.ours.kind == "orm" else [s[::-1] for s in ours]) > 0.01, "all alike"
        assert furthest(ours, both.served.score(TEXTS[::-1], CHAINS[::-1])[::-1]) < SAME
        assert furthest(ours[7:8], both.served.score(TEXTS[7:8], CHAINS[7:8])) < SAME

    def test_outputs_are_raw_up_to_the_longest_row(self, both):
        ids = [5 + i % 200 for i in range(both.ours.backend.max_length)]
        assert both.served.backend.max_length == len(ids) == 256
        reads = (len(ids) - 1,) if both.ours.kind == "orm" else (0, 100, len(ids) - 1)
        rows = [(ids, reads), (ids[:1], (0,))]
        for a, b in zip(both.ours.backend.outputs(rows), both.served.backend.outputs(rows), strict=True):
            assert a.dtype == b.dtype == torch.float32
            torch.testing.assert_close(a, b, rtol=0, atol=SAME)

    def test_plain_transformers_gives_the_same(self, both):
        if both.path.endswith("/to"):
            pytest.skip("transformers has no such class; tests/prm/models/test_conversion.py compares it with ours")
        plain = logits_of(AutoModelForSequenceClassification, both).tolist()
        for scorer in (both.ours, both.served):
            assert scorer.score(TEXTS[5:6], CHAINS[5:6])[0] == pytest.approx(plain, abs=SAME)


def logits_of(auto, model):
    """What plain transformers gives for one chain."""
    ids = model.ours.renderer.render(TEXTS[5], CHAINS[5]).ids
    with torch.inference_mode():
        return auto.from_pretrained(model.path).eval()(torch.tensor([ids])).logits[0]


@pytest.mark.engine
def test_a_vllm_server_gives_the_same_as_its_documented_command_starts_it(tmp_path):
    path = as_trl_saves_it(tmp_path)
    documented = ["--runner=pooling", "--no-enable-prefix-caching", '--pooler-config={"tok_pooling_type": "ALL"}']
    documented.append("--dtype=float32")
    ours = load_scorer(str(path))
    expected = ours.score(TEXTS, CHAINS)
    logits = logits_of(AutoModelForTokenClassification, SimpleNamespace(path=path, ours=ours))
    ends = list(ours.renderer.render(TEXTS[5], CHAINS[5]).step_ends)
    assert expected[5] == pytest.approx(logits.softmax(-1)[ends, 1].tolist(), abs=SAME)
    with server(8153, *documented, model=path) as url:
        served = load_scorer(str(path), backend="server", engine_options={"url": url.removesuffix("/v1")})
        found = served.score(TEXTS, CHAINS)
        served.close()
    assert furthest(expected, found) < SAME


class FakeProcess:
    """Stands in for a started engine, which cannot be pickled; keeps the arguments of each start."""

    started: ClassVar = []

    def __init__(self, model, **settings):
        self.started.append((model, settings))
        self.llm = SimpleNamespace(model_config=SimpleNamespace(max_model_len=77))

    def __reduce__(self):
        raise TypeError("cannot pickle a process")


def test_a_scorer_in_vllm_starts_anew_where_it_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.setattr(vllm_backend, "VllmProcess", FakeProcess)
    monkeypatch.setattr(FakeProcess, "started", [])
    path = str(save(tmp_path, LlamaForTokenClassification, LlamaConfig, "prm"))
    scorer = load_scorer(path, backend="vllm", dtype="bfloat16", engine_options={"max_model_len": 77})
    sent = pickle.loads(pickle.dumps(scorer))
    first, second = FakeProcess.started
    assert first == second
    assert (second[0], second[1]["dtype"], second[1]["max_model_len"]) == (path, "bfloat16", 77)
    assert isinstance(sent.backend, VllmBackend)
    assert (sent.backend.max_length, sent.threshold) == (77, 0.5)


@pytest.mark.parametrize("backend", ["vllm", "server"])
def test_the_revision_whose_tokenizer_is_read_is_the_one_whose_configuration_is_read(backend, tmp_path, monkeypatch):
    """From a name on the Hub, which stands for a directory here."""
    path, asked = str(save(tmp_path, LlamaForTokenClassification, LlamaConfig, "prm")), []

    def on_the_hub(name, **files):
        asked.append((name, files))
        return load_config(path)

    monkeypatch.setattr(vllm_backend, "VllmProcess", FakeProcess)
    monkeypatch.setattr(FakeProcess, "started", [])
    monkeypatch.setattr(loading, "load_reading", lambda wanted: load_reading(replace(wanted, name=path, files={})))
    for module in (vllm_backend, upstream):
        monkeypatch.setattr(module, "load_config", on_the_hub)
    monkeypatch.setattr(upstream, "_card", lambda *_: {"id": "m", "max_model_len": 77})
    options = {"url": "http://127.0.0.1:9"} if backend == "server" else {}
    where = {"revision": "r1", **({"subfolder": "prm", "token": "secret"} if backend == "server" else {})}
    scorer = load_scorer("org/model", dialect="trl", backend=backend, engine_options=options, **where)
    assert asked == [("org/model", where)]
    pickle.loads(pickle.dumps(scorer.backend))
    assert asked == 2 * [("org/model", where)]
    assert [(name, settings["revision"]) for name, settings in FakeProcess.started] == (
        [] if backend == "server" else 2 * [("org/model", "r1")]
    )


@pytest.mark.parametrize(("where", "hint"), [({"subfolder": "prm"}, "download"), ({"token": "secret"}, "HF_TOKEN")])
def test_what_vllm_cannot_find_on_the_hub_is_refused(where, hint):
    with pytest.raises(ModelError, match=f"org/model: vLLM loads no weights by {next(iter(where))}") as caught:
        load_scorer("org/model", backend="vllm", **where)
    assert hint in caught.value.hint


def test_a_causal_model_is_refused(base_model):
    with pytest.raises(ModelError, match="does not serve LlamaForCausalLM") as caught:
        VllmBackend(base_model)
    assert "transformers" in caught.value.hint


def test_a_classifier_of_several_labels_is_refused(base_model, tmp_path):
    AutoModelForSequenceClassification.from_pretrained(base_model, num_labels=3).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="3 labels per text"):
        VllmBackend(str(tmp_path))

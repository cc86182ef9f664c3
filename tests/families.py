"""Tiny models of every public family, and reference scores of single chains, computed as on each card."""

import json
import re
from functools import cache, partial

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForSequenceClassification,
    Gemma2Model,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaForTokenClassification,
    LlamaModel,
    MistralConfig,
    MistralForCausalLM,
    MistralForTokenClassification,
    MistralModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2ForSequenceClassification,
    Qwen2ForTokenClassification,
    Qwen2Model,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3ForSequenceClassification,
)

from prm.models.architectures import (
    Gemma2ForQuantileSequenceClassification,
    INFORMForSequenceClassification,
    LlamaForQuantileRewardModelWithGating,
    LlamaForRewardModelWithGating,
    LlamaForSequenceClassificationWithNormal_Weights,
    Qwen2ForPrmModel,
    Qwen2ForProcessRewardModel,
    Qwen2ForRewardModel,
    ReasonEval_7B,
    ReasonEval_34B,
)
from prm.models.internlm2 import InternLM2Config, InternLM2ForRewardModel

SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA_PATTERN = QWEN_PATTERN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
QWEN_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA_CHAT = (
    "<|begin|>{% for m in messages %}<|start|>{{ m['role'] }}<|end|>\n\n{{ m['content'] | trim }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant<|end|>\n\n{% endif %}"
)
CORPUS = [
    "So 2 + 2 = 4. \n\n\n\n\n Step 1: a - b \n\n\n\n\n Thus it \n\n\n\nis 4.\n\nThe.\n\nuser\n\nassistant\n\nsystem\n+"
] * 20
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}


def _byte_level(pattern):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False)
    )
    return tokenizer


def qwen_tokenizer(**names):
    special = ["<|im_start|>", "<extra_0>"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(QWEN_PATTERN),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=special,
        **names,
    )
    tokenizer.chat_template = QWEN_CHAT
    return tokenizer


def llama_tokenizer():
    core = _byte_level(LLAMA_PATTERN)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|begin|>",
        eos_token="<|eot|>",
        additional_special_tokens=["<|start|>", "<|end|>"],
    )
    bos = tokenizer.bos_token_id
    core = tokenizer.backend_tokenizer
    core.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", bos)])
    tokenizer.chat_template = LLAMA_CHAT
    return tokenizer


def mistral_tokenizer():
    """Like SentencePiece: a space before every text, bytes for unknown characters."""
    characters = "▁abcdefghijklmnopqrstuvwxyzSTF0123456789+-=./,<>:?ки"
    merges = [("к", "и"), ("▁", "ки"), ("▁", "+"), ("▁", "-"), ("▁", "S"), ("t", "e"), ("=", "▁"), ("и", "▁")]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), *characters, *(a + b for a, b in merges)]
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    core = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def save(directory, model_class, config_class, tokenizer, seed=0, **options):
    torch.manual_seed(seed)
    model = model_class(config_class(vocab_size=len(tokenizer), **SIZES, **options))
    for name, parameter in model.named_parameters():
        if name.startswith(("lm_head", "score", "v_head", "regression_layer", "gating.layers", "reward_transform")):
            torch.nn.init.normal_(parameter, std=0.5)
        elif name.startswith("weights.fc"):  # a larger gate would give scores that float32 rounds by more than 1e-5
            torch.nn.init.normal_(parameter, std=0.1)
        elif "norm" not in name:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def _adapter(directory, model_class=Qwen2ForCausalLM, config_class=Qwen2Config, tokenizer=qwen_tokenizer):
    from peft import LoraConfig, get_peft_model

    base = save(directory / "base", model_class, config_class, tokenizer())
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=32, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    model.save_pretrained(directory / "adapter")
    return directory / "adapter"


def _reasoneval_made(directory, model_class, config_class, tokenizer, pad, **options):
    """With its padding token, which separates steps while they are tokenized."""
    tokenizer.pad_token = pad
    return save(directory, model_class, config_class, tokenizer, **options)


def _qrm_made(directory, model_class, config_class, **options):
    """With statistics in its gate, and quantiles wide apart; the architecture on Llama has the name of ArmoRM's."""
    sizes = {"num_objectives": 5, "num_quantiles": 19, "gating_hidden_dim": 16}
    save(directory, model_class, config_class, llama_tokenizer(), **sizes, **options)

    def widened(weights):
        weights["regression_layer.weight"] *= 8
        for number, name in enumerate(sorted(key for key in weights if "running_" in key)):
            weights[name] = torch.linspace(0.5, 1 + number / 4, len(weights[name]))

    edit_weights(directory, widened)
    config = json.loads((directory / "config.json").read_text())
    if model_class is LlamaForQuantileRewardModelWithGating:
        config["architectures"] = ["LlamaForRewardModelWithGating"]
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def _pair(directory, model_class=Qwen2ForCausalLM, config_class=Qwen2Config, tokenizer=qwen_tokenizer):
    save(directory / "reference", model_class, config_class, tokenizer(), seed=7)
    return save(directory / "policy", model_class, config_class, tokenizer())


MADE = {
    "math-shepherd": lambda d: save(d, MistralForCausalLM, MistralConfig, mistral_tokenizer()),
    "rlhflow": lambda d: save(d, LlamaForCausalLM, LlamaConfig, llama_tokenizer()),
    "qwen": lambda d: save(d, Qwen2ForProcessRewardModel, Qwen2Config, qwen_tokenizer()),
    "reasonflux": lambda d: save(d, Qwen2ForProcessRewardModel, Qwen2Config, qwen_tokenizer(), seed=1),
    "versaprm": lambda d: save(d, LlamaForCausalLM, LlamaConfig, llama_tokenizer()),
    "skywork": lambda d: save(d, Qwen2ForPrmModel, Qwen2Config, qwen_tokenizer(bos_token="<|endoftext|>")),
    "trl": lambda d: save(d, LlamaForTokenClassification, LlamaConfig, llama_tokenizer()),
    "h4": lambda d: save(d, Qwen2ForTokenClassification, Qwen2Config, qwen_tokenizer()),
    "pure": lambda d: save(d, Qwen2ForTokenClassification, Qwen2Config, qwen_tokenizer()),
    "reasoneval-7b": lambda d: _reasoneval_made(
        d, ReasonEval_7B, MistralConfig, mistral_tokenizer(), "<s>", score_dimension=3, use_bias=True
    ),
    "reasoneval-34b": lambda d: _reasoneval_made(
        d, ReasonEval_34B, LlamaConfig, llama_tokenizer(), "<|eot|>", score_dim=3, bias=False
    ),
    "openr": _adapter,
    "implicit": _pair,
    "outcome": lambda d: save(d, LlamaForSequenceClassification, LlamaConfig, llama_tokenizer(), num_labels=1),
    "grm": lambda d: save(
        d,
        Gemma2ForSequenceClassification,
        Gemma2Config,
        llama_tokenizer(),
        num_labels=1,
        head_dim=8,
        attn_logit_softcapping=0.5,
    ),
    "urm": lambda d: save(
        d, LlamaForSequenceClassificationWithNormal_Weights, LlamaConfig, llama_tokenizer(), num_labels=10
    ),
    "qwen-outcome": lambda d: save(d, Qwen2ForRewardModel, Qwen2Config, qwen_tokenizer()),
    "acemath": lambda d: save(d, Qwen2ForSequenceClassification, Qwen2Config, qwen_tokenizer(), num_labels=1),
    "inf-orm": lambda d: save(d, INFORMForSequenceClassification, LlamaConfig, llama_tokenizer(), num_labels=1),
    "internlm2": lambda d: save(d, InternLM2ForRewardModel, InternLM2Config, qwen_tokenizer(), reward_token_id=7),
    "nemotron": lambda d: save(d, LlamaForCausalLM, LlamaConfig, llama_tokenizer()),
    "armorm": lambda d: save(
        d, LlamaForRewardModelWithGating, LlamaConfig, llama_tokenizer(), num_labels=19, gating_hidden_dim=16
    ),
    "qrm": lambda d: _qrm_made(d, Gemma2ForQuantileSequenceClassification, Gemma2Config, head_dim=8),
}
"""Dialect → function that writes a model of it into a directory and returns the directory to load."""
LLAMA, QWEN3 = (LlamaForCausalLM, LlamaConfig), (Qwen3ForCausalLM, Qwen3Config)
OTHERS = {
    "math-shepherd, llama": ("math-shepherd", lambda d: save(d, *LLAMA, mistral_tokenizer())),
    "rlhflow, qwen3": ("rlhflow", lambda d: save(d, *QWEN3, qwen_tokenizer(), head_dim=8)),
    "versaprm, qwen3": ("versaprm", lambda d: save(d, *QWEN3, qwen_tokenizer(), head_dim=8)),
    "trl, qwen2": ("trl", lambda d: save(d, Qwen2ForTokenClassification, Qwen2Config, qwen_tokenizer())),
    "h4, llama": ("h4", lambda d: save(d, LlamaForTokenClassification, LlamaConfig, llama_tokenizer())),
    "pure, mistral": ("pure", lambda d: save(d, MistralForTokenClassification, MistralConfig, llama_tokenizer())),
    "openr, llama": ("openr", lambda d: _adapter(d, *LLAMA, llama_tokenizer)),
    "implicit, llama": ("implicit", lambda d: _pair(d, *LLAMA, llama_tokenizer)),
    "outcome, qwen3": (
        "outcome",
        lambda d: save(d, Qwen3ForSequenceClassification, Qwen3Config, qwen_tokenizer(), num_labels=1, head_dim=8),
    ),
    "acemath, llama": (
        "acemath",
        lambda d: save(d, LlamaForSequenceClassification, LlamaConfig, llama_tokenizer(), num_labels=1),
    ),
    "grm, llama": (
        "grm",
        lambda d: save(d, LlamaForSequenceClassification, LlamaConfig, llama_tokenizer(), num_labels=1),
    ),
    "qrm, llama": ("qrm", lambda d: _qrm_made(d, LlamaForQuantileRewardModelWithGating, LlamaConfig)),
    "nemotron, qwen2": ("nemotron", lambda d: save(d, Qwen2ForCausalLM, Qwen2Config, qwen_tokenizer())),
}
"""Dialect and backbone → dialect, and the same for a second backbone, where a dialect is not bound to one."""


def options(dialect, path):
    """Further arguments that `load_scorer` needs."""
    return {"reference": str(path.parent / "reference")} if dialect == "implicit" else {}


def edit_weights(path, change):
    """Change the stored weights, a dict from name to tensor, in place."""
    file = next(path.glob("*.safetensors"))
    weights = load_file(file)
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})


@torch.no_grad()
def by_the_card(dialect, path, problem, steps):
    """Scores of one chain, computed as on the family's card or in its script."""
    return _CARDS[dialect](path, AutoTokenizer.from_pretrained(_base(path)), problem, steps)


def _base(path):
    return path.parent / "base" if path.name == "adapter" else path


@cache
def _load(model_class, path):
    return model_class.from_pretrained(path).eval()


def _hidden(path, ids):
    return _load(Qwen2Model, path)(torch.tensor([ids])).last_hidden_state[0]


def _numbered(steps):
    """As the data of these families has them: a step that says its number keeps it."""
    said = re.compile(r"Step \d+:")
    return [s.strip() if said.match(s.strip()) else f"Step {n}: {s.strip()}" for n, s in enumerate(steps, start=1)]


def _math_shepherd(path, tokenizer, problem, steps):
    text = problem + " " + "\n".join(f"{s} ки" for s in _numbered(steps))
    candidates, tag = tokenizer.encode("+ -")[1:], tokenizer.encode("ки")[-1]
    ids = torch.tensor([tokenizer.encode(text)])
    logits = _load(AutoModelForCausalLM, path)(ids).logits[:, :, candidates]
    return logits.softmax(dim=-1)[:, :, 0][ids == tag].tolist()


def _rlhflow(path, tokenizer, problem, steps):
    model, scores, turns = _load(AutoModelForCausalLM, path), [], []
    candidates = [tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]]
    for number, step in enumerate(steps):
        said = step.strip() if number else problem + " " + step.strip()
        turns += [{"role": "user", "content": said}, {"role": "assistant", "content": "+"}]
        ids = tokenizer(tokenizer.apply_chat_template(turns, tokenize=False), add_special_tokens=False)["input_ids"]
        before = len(ids) - 2 - ids[::-1].index(candidates[0])
        scores.append(model(torch.tensor([ids])).logits[0, before, candidates].softmax(dim=-1)[0].item())
    return scores


def _qwen_messages(problem, answer):
    said = {"system": SYSTEM, "user": problem, "assistant": answer}
    return [{"role": role, "content": content} for role, content in said.items()]


def _qwen(path, tokenizer, problem, steps):
    turns = _qwen_messages(problem, "<extra_0>".join(s.strip() for s in steps) + "<extra_0>")
    ids = tokenizer.encode(tokenizer.apply_chat_template(turns, tokenize=False))
    logits = _two_layers(path, _hidden(path, ids))
    return logits.softmax(dim=-1)[torch.tensor(ids) == tokenizer.encode("<extra_0>")[0], 1].tolist()


def _two_layers(path, hidden):
    w = load_file(path / "model.safetensors")
    inner = torch.relu(hidden @ w["score.0.weight"].T + w["score.0.bias"])
    return inner @ w["score.2.weight"].T + w["score.2.bias"]


def _reasonflux(path, tokenizer, problem, steps):
    turns = _qwen_messages(problem, "".join(f"{s.strip()}<extra_0>" for s in steps))[1:]
    ids = tokenizer.encode(tokenizer.apply_chat_template(turns, tokenize=False))
    logits = _two_layers(path, _hidden(path, ids))
    return logits.softmax(dim=-1)[torch.tensor(ids) == tokenizer.encode("<extra_0>")[0], 1].tolist()


def _versaprm(path, tokenizer, problem, steps):
    tag = " \n\n\n\n"
    ids = tokenizer.encode(problem.strip() + " \n\n" + "".join(s.strip() + tag for s in steps))
    candidates = [tokenizer.encode(word, add_special_tokens=False)[0] for word in "-+"]
    (mark,) = tokenizer.encode(tag, add_special_tokens=False)
    logits = _load(AutoModelForCausalLM, path)(torch.tensor([ids])).logits[0][:, candidates]
    return logits.softmax(dim=-1)[torch.tensor(ids) == mark, 1].tolist()


def _skywork(path, tokenizer, problem, steps):
    newline = tokenizer.encode("\n")[-1]
    ids, ends = tokenizer.encode(tokenizer.bos_token + problem + "\n"), []
    for step in steps:
        for line in step.rstrip().split("\n"):
            ids += [*(tokenizer.encode(line) if line else []), newline]
        ends.append(len(ids) - 1)
    w = load_file(path / "model.safetensors")
    values = _hidden(path, ids) @ w["v_head.summary.weight"].T + w["v_head.summary.bias"]
    return values.sigmoid()[ends, 0].tolist()


def _pieces(path, tokenizer, ids, steps, separator):
    model, scores = _load(AutoModelForTokenClassification, path), []
    for step in steps:
        ids = ids + tokenizer.encode(step.rstrip(), add_special_tokens=False)
        ids = ids + tokenizer.encode(separator, add_special_tokens=False)
        scores.append(model(torch.tensor([ids])).logits[0, -1].softmax(dim=-1))
    return scores


def _trl(path, tokenizer, problem, steps):
    bos = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    start = [*bos, *tokenizer.encode(problem, add_special_tokens=False)]
    return [p[1].item() for p in _pieces(path, tokenizer, start, steps, "\n")]


def _h4(path, tokenizer, problem, steps):
    return [p[1].item() for p in _pieces(path, tokenizer, tokenizer.encode(problem), steps, "\n\n")]


def _pure(path, tokenizer, problem, steps):
    start = tokenizer.encode(problem, add_special_tokens=False)
    return [(p[1] - p[0]).item() for p in _pieces(path, tokenizer, start, steps, "\n")]


def _reasoneval_ids(tokenizer, problem, steps):
    """Ids without the separators, and the last place before each."""
    pad, ids, places = tokenizer.pad_token, [], []
    prompt = f"Question:\n{problem}\nAnswer:\nLet's think step by step.\n"
    for i in tokenizer.encode(pad.join([prompt, *(s.rstrip() for s in steps)]) + pad):
        if i == tokenizer.pad_token_id:
            places.append(len(ids) - 1)
        else:
            ids.append(i)
    return ids, places


def _validity(path, hidden):
    w = load_file(path / "model.safetensors")
    wrong_neutral_right = (hidden @ w["score_head.weight"].T + w.get("score_head.bias", 0)).softmax(dim=-1)
    return (wrong_neutral_right[:, 1] + wrong_neutral_right[:, 2]).tolist()


def _reasoneval_7b(path, tokenizer, problem, steps):
    """Its padding token is BOS, which goes too and comes back once the places are known."""
    ids, (_, _, *places) = _reasoneval_ids(tokenizer, problem, steps)
    hidden = _load(MistralModel, path)(torch.tensor([[1, *ids]])).last_hidden_state[0]
    return _validity(path, hidden[places])


def _reasoneval_34b(path, tokenizer, problem, steps):
    ids, (_, *places) = _reasoneval_ids(tokenizer, problem, steps)
    return _validity(path, _load(LlamaModel, path)(torch.tensor([ids])).last_hidden_state[0, places])


def _openr(path, tokenizer, problem, steps):
    from peft import PeftModel

    text = problem + "".join(f" {s} \n\n\n\n\n" for s in _numbered(steps))
    candidates, tag = (tokenizer.encode(words, add_special_tokens=False) for words in (" + -", " \n\n\n\n\n"))
    ids = torch.tensor([tokenizer.encode(text)])
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(_base(path)), path).eval()
    return model(ids).logits[:, :, candidates].softmax(dim=-1)[:, :, 0][ids == tag[0]].tolist()


def _implicit(path, tokenizer, problem, steps):
    asked = [{"role": "user", "content": problem}]
    before = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    said = "\n\n".join(_numbered(steps))
    encode = partial(tokenizer.encode, add_special_tokens=False)
    ids = torch.tensor([encode(before + said + tokenizer.eos_token)])
    ratio = 0.0
    for directory, sign in ((path, 1), (path.parent / "reference", -1)):
        logits = _load(AutoModelForCausalLM, directory)(ids).logits[:, :-1]
        ratio = ratio + sign * logits.log_softmax(-1).gather(2, ids[:, 1:, None])[0, :, 0]
    start = len(encode(before))
    ends = [len(encode(before + "".join(f"{s}\n\n" for s in _numbered(steps)[:n]))) for n in range(1, len(steps))]
    return [0.001 * ratio[start - 1 : end - 1].sum().item() for end in [*ends, ids.shape[1]]]


def _outcome(path, tokenizer, problem, steps):
    turns = _qwen_messages(problem, "".join(steps).strip())[1:]
    ids = tokenizer(tokenizer.apply_chat_template(turns, tokenize=False), add_special_tokens=False)["input_ids"]
    return _load(AutoModelForSequenceClassification, path)(torch.tensor([ids])).logits[0].tolist()


def _grm(path, tokenizer, problem, steps):
    turns = _qwen_messages(problem, "".join(steps).strip())[1:]
    ids = tokenizer.encode(tokenizer.apply_chat_template(turns, tokenize=False))
    assert ids[:2] == [tokenizer.bos_token_id] * 2
    model = AutoModelForSequenceClassification.from_pretrained(path, attn_implementation="eager").eval()
    return model(torch.tensor([ids])).logits[0].tolist()


def _urm(path, tokenizer, problem, steps):
    ids = [tokenizer.bos_token_id, *_whole(tokenizer, problem, steps)]
    hidden, w = (
        _load(LlamaModel, path)(torch.tensor([ids])).last_hidden_state[0, -1],
        load_file(path / "model.safetensors"),
    )
    means, inner = (w["score.weight"] @ hidden).reshape(5, 2)[:, 0], hidden
    for layer in (0, 2, 4):
        inner = w[f"weights.fc.{layer}.weight"] @ (inner if layer == 0 else torch.selu(inner))
        inner = inner + w[f"weights.fc.{layer}.bias"]
    return [(means @ inner).item()]


def _qwen_outcome(path, tokenizer, problem, steps):
    turns = _qwen_messages(problem, "".join(steps).strip())
    ids = tokenizer.encode(tokenizer.apply_chat_template(turns, tokenize=False), add_special_tokens=False)
    return _two_layers(path, _hidden(path, ids)[-1]).tolist()


def _acemath(path, tokenizer, problem, steps):
    system = "Please reason step by step, and check your final answer within \\boxed{}."
    turns = [{"role": "system", "content": system}, *_qwen_messages(problem, "".join(steps).strip())[1:]]
    ids = tokenizer.encode(tokenizer.apply_chat_template(turns, tokenize=False), add_special_tokens=False)
    return _load(AutoModelForSequenceClassification, path)(torch.tensor([ids])).logits[0].tolist()


def _whole(tokenizer, problem, steps):
    turns = _qwen_messages(problem, "".join(steps).strip())[1:]
    return tokenizer(tokenizer.apply_chat_template(turns, tokenize=False), add_special_tokens=False)["input_ids"]


def _inf_orm(path, tokenizer, problem, steps):
    ids = torch.tensor([_whole(tokenizer, problem, steps)])
    hidden = _load(LlamaModel, path)(ids).last_hidden_state[0, -1]
    return _two_layers(path, hidden).tolist()


def _internlm2(path, tokenizer, problem, steps):
    """With a Llama that is given the stored weights: for each key head, 2 query heads, the key and the value."""
    names = {"embed_tokens": "tok_embeddings", "self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1"}
    names |= {"mlp.up_proj": "feed_forward.w3", "mlp.down_proj": "feed_forward.w2"}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm"}
    w, weights = load_file(path / "model.safetensors"), {}
    model = LlamaModel(LlamaConfig(vocab_size=len(tokenizer), **SIZES)).eval()
    for name in model.state_dict():
        part = name.split(".")[-2][0]
        if "self_attn" in name and part in "qkv":
            fused = w[f"model.{name.split('self_attn')[0]}attention.wqkv.weight"].reshape(2, 4, 8, 32)
            rows = {"q": slice(0, 2), "k": slice(2, 3), "v": slice(3, 4)}[part]
            weights[name] = torch.cat([group[rows].reshape(-1, 32) for group in fused])
        else:
            own = next((name.replace(llama, other) for llama, other in names.items() if llama in name), name)
            weights[name] = w[f"model.{own}"]
    model.load_state_dict(weights)
    hidden = model(torch.tensor([[*_whole(tokenizer, problem, steps), 7]])).last_hidden_state[0, -1]
    return (w["v_head.weight"] @ hidden).tolist()


def _nemotron(path, tokenizer, problem, steps):
    ids = torch.tensor([_whole(tokenizer, problem, steps)])
    return [_load(AutoModelForCausalLM, path)(ids).logits[0, -1, 0].item()]


def _armorm(path, tokenizer, problem, steps):
    ids = _whole(tokenizer, problem, steps)
    pattern = tokenizer.encode("<|eot|><|start|>assistant<|end|>\n\n", add_special_tokens=False)
    (start,) = [i for i in range(len(ids)) if ids[i : i + len(pattern)] == pattern]
    hidden = _load(LlamaModel, path)(torch.tensor([ids])).last_hidden_state[0]
    w = load_file(path / "model.safetensors")
    gate = hidden[start]
    for layer in range(4):
        gate = gate @ w[f"gating.layers.{layer}.weight"].T + w[f"gating.layers.{layer}.bias"]
        gate = gate.relu() if layer < 3 else (gate / 10).softmax(dim=-1) * w["gating.logit_scale"]
    ratings = hidden[-1] @ w["regression_layer.weight"].T
    return [(gate * (ratings @ w["reward_transform_matrix"])).sum().item()]


def _qrm(path, tokenizer, problem, steps):
    ids = _whole(tokenizer, problem, steps)
    pattern = tokenizer.encode("<|eot|><|start|>assistant<|end|>\n\n", add_special_tokens=False)
    (start,) = [i for i in range(len(ids)) if ids[i : i + len(pattern)] == pattern]
    w = load_file(path / "model.safetensors")
    is_llama = "reward_transform_matrix" in w
    model = LlamaModel if is_llama else partial(Gemma2Model.from_pretrained, attn_implementation="eager")
    backbone = _load(model, path) if is_llama else model(path).eval()
    hidden = backbone(torch.tensor([ids])).last_hidden_state[0]
    gate, dropouts = hidden[start], 0 if is_llama else 1
    for layer in range(3):
        at = layer * (3 + dropouts)
        gate = (w[f"gating.layers.{at}.weight"] @ gate).relu()
        norm = {part: w[f"gating.layers.{at + 2}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")}
        gate = (gate - norm["running_mean"]) / (norm["running_var"] + 1e-5).sqrt() * norm["weight"] + norm["bias"]
    last = f"gating.layers.{9 + 2 * dropouts}."
    logits = (w[last + "weight"] @ gate + w[last + "bias"]) / (10 if is_llama else 1)
    quantiles = (w["regression_layer.weight"] @ hidden[-1]).reshape(5, 19)
    expected = quantiles.mean(dim=1) @ w.get("reward_transform_matrix", torch.eye(5))
    return [(logits.softmax(dim=0) * w["gating.logit_scale"] * expected).sum().item()]


_CARDS = {
    "qrm": _qrm,
    "reasoneval-7b": _reasoneval_7b,
    "reasoneval-34b": _reasoneval_34b,
    "reasonflux": _reasonflux,
    "versaprm": _versaprm,
    "grm": _grm,
    "urm": _urm,
    "acemath": _acemath,
    "inf-orm": _inf_orm,
    "internlm2": _internlm2,
    "nemotron": _nemotron,
    "armorm": _armorm,
    "math-shepherd": _math_shepherd,
    "rlhflow": _rlhflow,
    "qwen": _qwen,
    "skywork": _skywork,
    "trl": _trl,
    "h4": _h4,
    "pure": _pure,
    "openr": _openr,
    "implicit": _implicit,
    "outcome": _outcome,
    "qwen-outcome": _qwen_outcome,
}

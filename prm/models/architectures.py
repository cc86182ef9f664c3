"""Models and heads that transformers lacks, and loading that refuses missing weights.

Transformers initializes a head that is missing from the file at random, with a warning; here that is an error. No
remote code is run: the few architectures that need it on the Hub are implemented below.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    Gemma2Model,
    Gemma2PreTrainedModel,
    LlamaModel,
    LlamaPreTrainedModel,
    MistralModel,
    MistralPreTrainedModel,
    Qwen2Model,
    Qwen2PreTrainedModel,
)
from transformers.utils import cached_file
from transformers.utils.peft_utils import find_adapter_config_file

from prm.errors import ModelError

from .decoders import attention, classifier_named, form_of, is_decoder
from .heads import Kind
from .internlm2 import InternLM2ForRewardModel


class Qwen2ForProcessRewardModel(Qwen2PreTrainedModel):
    """Qwen2 with a two-layer head, two classes per token; modeling_qwen2_rm.py of Qwen/Qwen2.5-Math-PRM-7B."""

    labels = 2

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = Qwen2Model(config)
        width = config.hidden_size
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, self.labels))
        self.post_init()


class Qwen2ForRewardModel(Qwen2ForProcessRewardModel):
    """The same with one output per token; modeling_qwen2_rm.py of Qwen/Qwen2.5-Math-RM-72B."""

    labels = 1


class Qwen2ForPrmModel(Qwen2PreTrainedModel):
    """Qwen2 with a value head; prm_model.py of SkyworkAI/skywork-o1-prm-inference."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = Qwen2Model(config)
        self.v_head = nn.ModuleDict({"summary": nn.Linear(config.hidden_size, 1)})
        self.post_init()

    @property
    def score(self) -> nn.Module:
        """The head."""
        return self.v_head["summary"]


class ReasonEval_7B(MistralPreTrainedModel):  # noqa: N801 (its name in config.json)
    """Mistral with three classes per token; codes/examples.py of GAIR-NLP/ReasonEval."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = MistralModel(config)
        self.score_head = nn.Linear(config.hidden_size, config.score_dimension, bias=config.use_bias)
        self.post_init()

    score = property(attrgetter("score_head"))


class ReasonEval_34B(LlamaPreTrainedModel):  # noqa: N801 (its name in config.json)
    """The same on Llama, with other names of the head's settings; codes/examples.py of GAIR-NLP/ReasonEval."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = LlamaModel(config)
        self.score_head = nn.Linear(config.hidden_size, config.score_dim, bias=config.bias)
        self.post_init()

    score = property(attrgetter("score_head"))


class LlamaForSequenceClassificationWithNormal_Weights(LlamaPreTrainedModel):  # noqa: N801 (its name in config.json)
    """Llama with a normal distribution of each attribute, weighed by a gate; sglang, srt/models/llama_reward.py."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = LlamaModel(config)
        width, outputs = config.hidden_size, config.num_labels
        self.score = nn.Linear(width, outputs, bias=False)
        layers = (nn.Linear(width, width), nn.SELU(), nn.Linear(width, width), nn.SELU())
        self.weights = nn.ModuleDict({"fc": nn.Sequential(*layers, nn.Linear(width, outputs // 2))})
        self.post_init()


class INFORMForSequenceClassification(LlamaPreTrainedModel):
    """Llama with a two-layer head and one output; rewardbench/models/inform.py of allenai/reward-bench."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = LlamaModel(config)
        width = config.hidden_size
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.post_init()


class LlamaForRewardModelWithGating(LlamaPreTrainedModel):
    """Llama that rates attributes, and weighs them by the question; armo-rm of RLHFlow/RLHF-Reward-Modeling."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = LlamaModel(config)
        width, attributes = config.hidden_size, config.num_labels
        self.regression_layer = nn.Linear(width, attributes, bias=False)
        self.reward_transform_matrix = nn.Parameter(torch.eye(attributes), requires_grad=False)
        inner = getattr(config, "gating_hidden_dim", 1024)
        sizes = [width, *[inner] * getattr(config, "gating_n_hidden", 3), attributes]
        self.gating = _Gating(sizes, getattr(config, "gating_temperature", 10))
        self.post_init()

    def rate(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The attributes, and what the gate weighs: each ``(reads, attributes)``."""
        ratings = self.regression_layer(hidden)
        return ratings, ratings @ self.reward_transform_matrix


class _Gating(nn.Module):
    def __init__(self, sizes: Sequence[int], temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.logit_scale = nn.Parameter(torch.ones(1), requires_grad=False)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        *first, last = self.layers
        for layer in first:
            hidden = layer(hidden).relu()
        weights: torch.Tensor = (last(hidden) / self.temperature).softmax(dim=-1) * self.logit_scale[0]
        return weights


class LlamaForQuantileRewardModelWithGating(LlamaPreTrainedModel):
    """The same with quantiles of each attribute; rewardbench/models/qrm.py of allenai/reward-bench."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = LlamaModel(config)
        attributes = config.num_objectives
        self.regression_layer = nn.Linear(config.hidden_size, attributes * config.num_quantiles, bias=False)
        self.reward_transform_matrix = nn.Parameter(torch.eye(attributes), requires_grad=False)
        self.gating = _QuantileGating(config, getattr(config, "gating_temperature", 10), has_dropout=False)
        self.post_init()

    def rate(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `LlamaForRewardModelWithGating.rate`."""
        ratings = _expected(self.config, self.regression_layer(hidden)) @ self.reward_transform_matrix
        return ratings, ratings


class Gemma2ForQuantileSequenceClassification(Gemma2PreTrainedModel):
    """The same on Gemma 2; scoring/qrm.py of Frankfurt-AI-Safety/One-Judge-After-Another."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = Gemma2Model(config)
        outputs = config.num_objectives * config.num_quantiles
        self.regression_layer = nn.Linear(config.hidden_size, outputs, bias=False)
        self.gating = _QuantileGating(config, getattr(config, "gating_temperature", 1), has_dropout=True)
        self.post_init()

    def rate(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `LlamaForRewardModelWithGating.rate`."""
        ratings = _expected(self.config, self.regression_layer(hidden))
        return ratings, ratings


def _expected(config: Any, quantiles: torch.Tensor) -> torch.Tensor:
    """The mean of each attribute's quantiles: ``(reads, attributes)``."""
    return quantiles.reshape(*quantiles.shape[:-1], config.num_objectives, config.num_quantiles).mean(dim=-1)


class _QuantileGating(nn.Module):
    """A gate with normalized layers; `has_dropout` only shifts the numbers by which its weights are stored."""

    def __init__(self, config: Any, temperature: float, *, has_dropout: bool) -> None:
        super().__init__()
        self.temperature = temperature
        self.logit_scale = nn.Parameter(torch.ones(1), requires_grad=False)
        inner, count = getattr(config, "gating_hidden_dim", 1024), getattr(config, "gating_n_hidden", 3)
        layers, width = list[nn.Module](), config.hidden_size
        for number in range(count):
            layers += [nn.Linear(width, inner, bias=False), nn.ReLU(), nn.BatchNorm1d(inner)]
            layers += [nn.Dropout()] if has_dropout and number < count - 1 else []
            width = inner
        self.layers = nn.Sequential(*layers, nn.Linear(width, config.num_objectives))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        weights: torch.Tensor = (self.layers(hidden) / self.temperature).softmax(dim=-1) * self.logit_scale[0]
        return weights


GATED = (
    LlamaForRewardModelWithGating,
    LlamaForQuantileRewardModelWithGating,
    Gemma2ForQuantileSequenceClassification,
)
"""Architectures with a gate that is read at the end of the question."""
ARCHITECTURES: dict[str, Any] = {
    "Gemma2ForQuantileSequenceClassification": Gemma2ForQuantileSequenceClassification,
    "INFORMForSequenceClassification": INFORMForSequenceClassification,
    "InternLM2ForRewardModel": InternLM2ForRewardModel,
    "LlamaForQuantileRewardModelWithGating": LlamaForQuantileRewardModelWithGating,
    "LlamaForRewardModelWithGating": LlamaForRewardModelWithGating,
    "LlamaForSequenceClassificationWithNormal_Weights": LlamaForSequenceClassificationWithNormal_Weights,
    "Qwen2ForProcessRewardModel": Qwen2ForProcessRewardModel,
    "Qwen2ForRewardModel": Qwen2ForRewardModel,
    "Qwen2ForPrmModel": Qwen2ForPrmModel,
    "ReasonEval_7B": ReasonEval_7B,
    "ReasonEval_34B": ReasonEval_34B,
}
"""By their name in config.json; all others come from transformers."""
_SHARED_NAMES = {("LlamaForRewardModelWithGating", "num_quantiles"): "LlamaForQuantileRewardModelWithGating"}
"""Names of two architectures, with a field of config.json that only the second has, and ours for that one."""


def load_config(name: str, **files: Any) -> Any:
    """Load the configuration of a directory or Hub name.

    Args:
        name: directory or Hub name.
        files: where its files are, as transformers takes it: `revision`, `subfolder`, `token`.

    Raises:
        ModelError: it is missing, or names no architecture.
    """
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False, **files)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{name}: cannot be loaded: {first_line(error)}", GIVE_A_MODEL) from error
    if not config.architectures:
        raise ModelError(f"{name}: its config.json names no architecture", GIVE_A_MODEL)
    for (shared, field), own in _SHARED_NAMES.items():
        if config.architectures[0] == shared and getattr(config, field, None) is not None:
            config.architectures = [own]
    return config


def load_strictly(
    name: str, config: Any, dtype: str | torch.dtype = "auto", *, new_head: bool = False, **options: Any
) -> Any:
    """Load a model of the architecture that its configuration names, with every weight from the file.

    Args:
        name: directory or Hub name.
        config: its configuration.
        dtype: of the weights; "auto" for that of the file.
        new_head: whether its head may be missing, since an adapter brings it.
        options: as `load_config`, and `device_map`.

    Raises:
        ModelError: transformers has no such architecture, or weights are missing, unexpected or of another shape.
            Only a language model's output embedding is allowed in addition. Or a quantized model needs a package.
    """
    architecture = config.architectures[0]
    model_class = (
        ARCHITECTURES.get(architecture)
        or classifier_named(architecture, config)
        or getattr(transformers, architecture, None)
    )
    if model_class is None:
        raise ModelError(f"{name}: transformers has no architecture {architecture}", "update transformers")
    options = {**attention(config), **options}
    try:
        model, info = model_class.from_pretrained(name, config=config, dtype=dtype, output_loading_info=True, **options)
    except ImportError as error:  # of the package that a quantized model needs, or of accelerate for device_map
        raise ModelError(f"{name}: {first_line(error)}", "install that package") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{name}: cannot be loaded as {architecture}: {first_line(error)}", GIVE_A_MODEL) from error
    # a classifier's file may still hold the output embedding of the language model that it was trained from
    left_over = [key for key in info["unexpected_keys"] if key != "lm_head.weight"]
    missing = [key for key in info["missing_keys"] if not (new_head and key.startswith(HEAD_NAMES))]
    require_complete(name, missing, left_over)
    return model


def require_complete(name: str, missing: Sequence[str], unexpected: Sequence[str] = ()) -> None:
    """Refuse a model with missing or unexpected weights.

    Raises:
        ModelError: there are some; the message names up to three.
    """
    for keys, what in ((missing, "lacks"), (unexpected, "has unexpected weights:")):
        if keys:
            shown = ", ".join(sorted(keys)[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
            raise ModelError(f"{name}: its weight file {what} {shown}", "give the directory of the trained model")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter, as peft writes it."""

    base: str
    """The base model that its configuration names."""
    task: str | None
    """What it was trained for, "CAUSAL_LM", "TOKEN_CLS" or "SEQ_CLS"; None if it does not say."""
    labels: int | None
    """Number of outputs of the head that it brings; None if it brings none."""


_CLASSIFIERS = {"TOKEN_CLS": AutoModelForTokenClassification, "SEQ_CLS": AutoModelForSequenceClassification}
HEAD_NAMES = ("score.", "classifier.")
"""How the weights of a head begin."""


def adapter_of(name: str, **files: Any) -> Adapter | None:
    """The adapter in a directory or on the Hub; None if `name` is none."""
    try:
        found = find_adapter_config_file(name, **files)
    except (OSError, ValueError):
        return None
    if found is None:
        return None
    try:
        row = json.loads(Path(found).read_text(encoding="utf-8"))
    except ValueError:
        row = None
    if not isinstance(row, dict) or not row.get("base_model_name_or_path"):
        raise ModelError(f"{name}: its adapter_config.json names no base model", _ADAPTER)
    return Adapter(str(row["base_model_name_or_path"]), row.get("task_type"), _labels(name, **files))


def _labels(name: str, **files: Any) -> int | None:
    """Number of outputs of the head among an adapter's weights."""
    path = cached_file(name, "adapter_model.safetensors", _raise_exceptions_for_missing_entries=False, **files)
    if path is None:
        return None
    try:
        with safe_open(path, framework="pt") as weights:
            heads = [key for key in weights.keys() if key.endswith(("score.weight", "classifier.weight"))]  # noqa: SIM118
            return int(weights.get_slice(heads[0]).get_shape()[0]) if heads else None
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{name}: its adapter weights cannot be read: {first_line(error)}", _ADAPTER) from error


def as_classifier(name: str, config: Any, adapter: Adapter) -> Any:
    """The configuration of an adapter's base model with the head that the adapter brings.

    Raises:
        ModelError: the base model is no decoder, and transformers has no such classifier of it.
    """
    if adapter.task not in _CLASSIFIERS or adapter.labels is None:
        return config
    theirs = _CLASSIFIERS[adapter.task]._model_mapping.get(type(config), None)
    if theirs is None and not is_decoder(config):
        raise ModelError(f"{name}: transformers has no {adapter.task} model for its base {adapter.base}", _ADAPTER)
    ours: Kind = "orm" if adapter.task == "SEQ_CLS" else "prm"
    config.num_labels = adapter.labels
    config.architectures = [theirs.__name__ if theirs else form_of(config, ours).name]
    return config


def load_adapted(name: str, base: Any, *, merges: bool = False, **files: Any) -> Any:
    """Load the adapter `name`, a directory or Hub name, into the model `base`; `merges` adds it to its weights.

    Raises:
        ModelError: peft is not installed, or the adapter does not fit.
    """
    try:
        import peft
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{name}: is an adapter, but peft is not installed", "pip install 'prm-toolkit[lora]'"
        ) from error
    try:
        model = peft.PeftModel(base, peft.PeftConfig.from_pretrained(name, inference_mode=True, **files))
        found = model.load_adapter(name, "default", **files)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise ModelError(f"{name}: does not fit its base model: {first_line(error)}", GIVE_A_MODEL) from error
    require_complete(name, found.missing_keys, found.unexpected_keys)
    adapted = model.get_base_model()
    if type(adapted.get_output_embeddings()) not in (nn.Linear, type(None)):
        raise ModelError(f"{name}: adapts the output embedding, of which only some rows are read", _ADAPTER)
    return model.merge_and_unload() if merges else adapted


def require_model(name: str, *files: str) -> None:
    """Refuse a missing directory, or one with none of these files, with a plain message.

    Without `files`, any file that marks one of our checkpoints, a model or an adapter will do.
    """
    path, files = Path(name), files or ("prm.json", "config.json", "adapter_config.json")
    if path.exists() and not any((path / file).is_file() for file in files):
        raise ModelError(f"{name}: is not a model directory (it has no {' or '.join(files)})", GIVE_A_MODEL)
    if not path.exists() and (path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1):
        raise ModelError(f"{name}: no such directory", GIVE_A_MODEL)


def first_line(error: BaseException) -> str:
    """First line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


_ADAPTER = "merge it into its base model first (peft's merge_and_unload) and give the result"
GIVE_A_MODEL = "give a Hugging Face model directory or a Hub name"

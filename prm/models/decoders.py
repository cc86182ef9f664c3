"""Any decoder of transformers with one linear head on every token.

transformers has classifiers for some of its decoders only, with heads of two names and with dropout. Here all decoders
are trained and scored as one class. It is named and stored as transformers' classifier of the same decoder, so that
plain transformers loads its file. Where there is none, the name follows the same pattern, by which vLLM knows it too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from transformers.modeling_outputs import TokenClassifierOutput

from prm.errors import ModelError

from .heads import Kind

TOKENS, TEXTS = "ForTokenClassification", "ForSequenceClassification"
"""How the names of classifiers end."""
_AUTO = {TOKENS: AutoModelForTokenClassification, TEXTS: AutoModelForSequenceClassification}
_DECODERS, _MODELS, _ENCODERS = (
    auto._model_mapping for auto in (AutoModelForCausalLM, AutoModel, AutoModelForMaskedLM)
)
_MORE_ENCODERS = ("bert-generation", "cpmant", "xlnet")
"""Those that transformers has no masked language model of."""


def is_decoder(config: Any) -> bool:
    """Whether transformers has a decoder of this configuration: for text alone, and no token reads later ones."""
    is_encoder = config.__class__ in _ENCODERS or config.model_type in _MORE_ENCODERS
    if config.get_text_config(decoder=True) is not config or (is_encoder and not getattr(config, "is_decoder", False)):
        return False
    return config.__class__ in _DECODERS and config.__class__ in _MODELS and not config.is_encoder_decoder


def require_decoder(name: str, config: Any) -> None:
    """Refuse, by its configuration alone, a model in which a step's score would depend on later steps.

    Raises:
        ModelError: `config`, that of the model `name`, is not that of a decoder, nor has one as its text part.
    """
    if config.is_encoder_decoder or not is_decoder(config.get_text_config(decoder=True)):
        raise ModelError(
            f"{name}: a {config.model_type} is no decoder that transformers has by itself",
            "choose one, such as Llama, Qwen or Gemma: in others, a step's score would depend on later steps",
        )


def decoder_of(model: Any, config: Any) -> Any:
    """The decoder of `config` within a model that also takes images or sound.

    Raises:
        ValueError: it has none.
    """
    decoder = next((part for part in model.modules() if type(part) is _MODELS[config.__class__]), None)
    if decoder is None:
        raise ValueError(f"a {type(model).__name__} has no decoder of text by itself")
    return decoder


def length_limit(config: Any) -> int:
    """Most tokens that a model takes, by its configuration; 2**31 where that sets no limit."""
    text = config.get_text_config()
    return int(getattr(text, "max_position_embeddings", None) or getattr(text, "max_seq_len", None) or 2**31)


def attention(config: Any) -> dict[str, str]:
    """Options of loading, for a decoder whose attention has a cap: torch's own would ignore that without a word."""
    capped = getattr(config.get_text_config(), "attn_logit_softcapping", None) is not None
    return {"attn_implementation": "eager"} if capped else {}


@dataclass(frozen=True, slots=True)
class Form:
    """How a classifier is stored."""

    name: str
    """Of its class."""
    head: str
    """Name of its head."""
    is_plain: bool
    """Whether transformers has this classifier."""


def form_of(config: Any, kind: Kind) -> Form:
    """The form of a reward model on the decoder of `config`."""
    task = TEXTS if kind == "orm" else TOKENS
    theirs = _AUTO[task]._model_mapping.get(config.__class__, None)
    if theirs is None:
        return Form(_family(config.__class__)[0] + task, "score", is_plain=False)
    with torch.device("meta"):
        model = theirs(config)
    parts = {key for key in model.state_dict() if not key.startswith(f"{model.base_model_prefix}.")}
    for head in ("score", "classifier"):
        if parts == {f"{head}.weight"} | ({f"{head}.bias"} if kind != "orm" else set()):
            return Form(theirs.__name__, head, is_plain=True)
    # not under the name of their classifier, which has another head
    return Form(_family(config.__class__)[0] + TOKENS, "score", is_plain=False)


def _family(config_class: Any) -> tuple[str, Any]:
    """Name of a decoder's family, and the base of its models in transformers."""
    base = next(base for base in _MODELS[config_class].__mro__ if base.__name__.endswith("PreTrainedModel"))
    return base.__name__.removesuffix("PreTrainedModel"), base


class ExactLinear(nn.Linear):
    """A head in float32 whatever the decoder is in: in half precision, rewards near 10 would come in steps of 0.06."""

    def forward(self, hidden: Tensor) -> Tensor:
        """The outputs, in float32."""
        bias = None if self.bias is None else self.bias.float()
        with torch.autocast(hidden.device.type, enabled=False):
            outputs = nn.functional.linear(hidden.float(), self.weight.float(), bias)
        return outputs.clone()  # not a view, which sharding warns of


class DecoderWithHead:
    """A decoder and a linear head: logits ``(chains, length, channels)``. See `classifier_class`."""

    base_model_prefix: str
    head_name: str

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]
        width = getattr(config, "word_embed_proj_dim", config.hidden_size)  # of OPT, which projects its outputs
        setattr(self, self.base_model_prefix, AutoModel.from_config(config))
        has_bias = getattr(config, "token_classification_bias", True)
        setattr(self, self.head_name, ExactLinear(width, config.num_labels, bias=has_bias))
        self.post_init()  # type: ignore[attr-defined]

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **options: Any) -> TokenClassifierOutput:
        """The logits of every token, and what else the decoder is asked for."""
        options = {"use_cache": False, **options}
        output = self.base_model(input_ids=input_ids, attention_mask=attention_mask, **options)  # type: ignore[attr-defined]
        return TokenClassifierOutput(logits=self.score(output.last_hidden_state), hidden_states=output.hidden_states)

    @property
    def score(self) -> nn.Module:
        """The head."""
        head: nn.Module = self._modules[self.head_name]  # type: ignore[attr-defined]
        return head

    def __reduce__(self) -> Any:
        """Pickle by the configuration's class: this class itself is made anew in another process."""
        return _blank, (type(self.config), type(self).__name__, self.head_name), self.__dict__  # type: ignore[attr-defined]


def classifier_class(config: Any, form: Form) -> Any:
    """The class of a classifier on the decoder of `config`.

    Its base is that of all models of the decoder's family in transformers, which knows how their weights are stored,
    initialized and split over devices.
    """
    return _class(config.__class__, form.name, form.head)


@cache
def _class(config_class: Any, name: str, head: str) -> Any:
    _, family = _family(config_class)
    fields: dict[str, Any] = {"base_model_prefix": family.base_model_prefix or "model", "head_name": head}
    fields["_keep_in_fp32_modules_strict"] = [head]
    # transformers looks at the source of a model's module to find out what it can do
    return type(name, (DecoderWithHead, family), {"__module__": family.__module__, **fields})


def _blank(config_class: Any, name: str, head: str) -> Any:
    made = _class(config_class, name, head)
    return made.__new__(made)


def classifier_named(architecture: str, config: Any) -> Any | None:
    """Our class for a classifier of this name on the decoder of `config`; None where transformers' own will do."""
    kind: Kind | None = "prm" if architecture.endswith(TOKENS) else "orm" if architecture.endswith(TEXTS) else None
    if kind is None or not is_decoder(config):
        return None
    form = form_of(config, kind)
    return None if form.is_plain and form.head == "score" else classifier_class(config, form)


@torch.no_grad()
def reads_ahead(model: Any) -> bool:
    """Whether the outputs at a token depend on the tokens after it."""
    ids = torch.tensor([[1, 2, 3, 4], [1, 2, 3, 5]], device=model.device)
    one, other = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, :3].float()
    within = max(1e-4, 4 * torch.finfo(model.dtype).eps)
    return not torch.allclose(one, other, rtol=0, atol=within * float(one.abs().max()))

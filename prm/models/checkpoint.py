"""A reward model on disk: an ordinary Hugging Face directory plus one small file, `prm.json`, on how to read it.

A PRM is a token classifier with two labels (wrong and right, read at each step's end), an ORM a sequence classifier
with one (the reward, read at the last token) or one for each of its named outputs, a joint model a token classifier
with all three. Plain transformers loads them all, where it has such a classifier of the backbone. In memory each is a
`prm.models.decoders.DecoderWithHead`: the heads differ only in their channels and read positions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    LlamaTokenizer,
)
from transformers.utils import cached_file

from prm.data.rows import are_value_names
from prm.data.writing import write_json
from prm.errors import ModelError
from prm.statistics.calibration import Calibration

from .architectures import (
    GIVE_A_MODEL,
    HEAD_NAMES,
    first_line,
    load_strictly,
    require_complete,
    require_model,
)
from .decoders import (
    ExactLinear,
    attention,
    classifier_class,
    decoder_of,
    form_of,
    is_decoder,
    length_limit,
    require_decoder,
)
from .dialects import LANGUAGE_MODELS
from .heads import Kind
from .layouts import StepRenderer
from .rendering import PLACE, Renderer, SolutionRenderer, prompt_of

METADATA = "prm.json"
CHECKPOINT_SCHEMA = "checkpoint/1"
LABELS: dict[Kind, tuple[str, ...]] = {
    "prm": ("wrong", "right"),
    "orm": ("reward",),
    "joint": ("wrong", "right", "reward"),
}
"""Channels of each kind's head."""
Form = Literal["steps", "whole"]
"""How a solution is written; see `Metadata.form`."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """How to feed and read a checkpoint."""

    kind: Kind
    separator: str = "\n"
    """In the form `steps`, ends every step; a PRM is read at the separator's last token."""
    chat: bool = False
    """Whether the problem is put into the tokenizer's chat template."""
    labels: str = "hard"
    """What a step's score estimates: "hard" (whether any rollout succeeds), or "soft", "pooled" or "counts" (the share
    of rollouts that succeed); "order" if it ranks the steps and estimates nothing; "outcome" for an ORM."""
    members: int = 1
    """Step heads of a PRM; member k, from 0, has the channels 2k (wrong) and 2k + 1 (right)."""
    is_beta: bool = False
    """Whether the exponentials of a step's two logits, wrong and right, are the parameters beta and alpha of a Beta
    distribution of its value: its mean is the score as ever, and its deviation how sure that is."""
    calibration: Mapping[str, Any] | None = None
    """Calibrations as JSON, by level: of "step" scores, of the "chain" scores aggregated from them, and of the
    "reward". None without any."""
    form: Form = "steps"
    """`steps`: each one ended by the separator. `whole`: problem and solution as one text, the user's own, which an ORM
    is read at the end of; see `prm.models.rendering.SolutionRenderer`."""
    template: str | None = None
    """The instruction around the problem, see `prm.models.rendering.require_template`; None for the problem alone."""
    outputs: tuple[str, ...] = ()
    """Names of an ORM's outputs, in the order of its channels; empty for a single one without a name."""

    def __post_init__(self) -> None:
        if self.kind not in LABELS:
            raise ValueError(f"kind must be one of {', '.join(LABELS)}, not {self.kind!r}")
        if not isinstance(self.separator, str) or not self.separator:
            raise ValueError(f"separator must be a non-empty string, not {self.separator!r}")
        if not isinstance(self.chat, bool):
            raise ValueError(f"chat must be true or false, not {self.chat!r}")
        if not isinstance(self.members, int) or self.members < 1 or (self.members > 1 and self.kind != "prm"):
            raise ValueError(f"members must be a whole number from 1, and 1 without a PRM, not {self.members!r}")
        if not isinstance(self.is_beta, bool):
            raise ValueError(f"is_beta must be true or false, not {self.is_beta!r}")
        if not are_value_names(self.outputs) or (self.outputs and self.kind != "orm"):
            raise ValueError(f"outputs must be a list of different names, of an ORM, not {self.outputs!r}")
        self._require_reading()

    def _require_reading(self) -> None:
        if self.form not in get_args(Form) or (self.form == "whole" and self.kind != "orm"):
            raise ValueError(f"form must be one of {', '.join(get_args(Form))}, whole for an ORM, not {self.form!r}")
        if self.template is not None and (not isinstance(self.template, str) or self.template.count(PLACE) != 1):
            raise ValueError(f"template must have {PLACE} once, not {self.template!r}")
        if self.calibration is not None:
            _require_calibrations(self.calibration)

    def save(self, directory: Path) -> None:
        """Write `prm.json`."""
        write_json(directory / METADATA, {"schema": CHECKPOINT_SCHEMA, **asdict(self)})


def _require_calibrations(by_level: Mapping[str, Any]) -> None:
    if not isinstance(by_level, dict) or not set(by_level) <= {"step", "chain", "reward"}:
        raise ValueError(f"calibration must be an object with keys among step, chain and reward, not {by_level!r}")
    for row in by_level.values():
        Calibration.from_json(row)


def load_metadata(directory: Path) -> Metadata:
    """Read `prm.json`.

    Raises:
        ModelError: `prm.json` is missing, unreadable or of another version.
    """
    try:
        row = json.loads((directory / METADATA).read_text(encoding="utf-8"))
        if not isinstance(row, dict):
            raise ValueError("it is not a JSON object")
        if row.pop("schema") != CHECKPOINT_SCHEMA:
            raise ModelError(f"{directory}/{METADATA}: has another version", "train it again or update prm-toolkit")
        if isinstance(row.get("outputs"), list):
            row["outputs"] = tuple(row["outputs"])
        return Metadata(**row)
    except OSError as error:
        raise ModelError(f"{directory}: has no {METADATA}", "give a directory that `prm train` wrote") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{directory}/{METADATA}: is not valid: {error}", "train it again") from error


def load_tokenizer(name: str, **files: Any) -> Any:
    """Load the tokenizer of a directory or Hub name; `files` as in `prm.models.architectures.load_config`.

    Raises:
        ModelError: it is missing or cannot be loaded.
    """
    require_model(name, "config.json")
    try:
        return _sentencepiece_of_llama(name, files) or AutoTokenizer.from_pretrained(name, **files)
    except (OSError, ValueError) as error:
        raise ModelError(f"{name}: its tokenizer cannot be loaded: {first_line(error)}", GIVE_A_MODEL) from error


def _sentencepiece_of_llama(name: str, files: Mapping[str, Any]) -> Any | None:
    """The tokenizer of a Llama or Mistral that has a `tokenizer.model` alone; None for all others.

    transformers 5 would read it without BOS and without the space that SentencePiece puts before a text. InternLM2's is
    refused: only code that comes with it reads it.
    """
    if stored_file(name, "tokenizer.json", files) or not stored_file(name, "tokenizer.model", files):
        return None
    model_type = AutoConfig.from_pretrained(name, **files).model_type
    if model_type == "internlm2":
        raise ModelError(
            f"{name}: has a tokenizer.model, but no tokenizer.json",
            "copy the model into a directory, and there write a tokenizer.json with the code that comes with it: "
            "AutoTokenizer.from_pretrained(…, trust_remote_code=True).save_pretrained(…)",
        )
    if model_type not in ("llama", "mistral", "mixtral"):
        return None
    settings = stored_file(name, "tokenizer_config.json", files)
    has_bos = json.loads(Path(settings).read_text(encoding="utf-8")).get("add_bos_token") if settings else None
    return LlamaTokenizer.from_pretrained(name, add_bos_token=has_bos is not False, **files)


def stored_file(name: str, part: str, files: Mapping[str, Any]) -> str | None:
    """Path of a file of a model, fetched from the Hub if need be; None if it has none."""
    found: str | None = cached_file(
        name, part, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False, **files
    )
    return found


def load_model(
    name: str,
    kind: Kind,
    pad_token_id: int | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    *,
    members: int = 1,
    outputs: Sequence[str] = (),
    is_trained: bool = False,
    quantization: Any | None = None,
) -> Any:
    """Load a backbone with the head of `kind`: the stored head, or on a base model a new one, initialized from `seed`.

    `dtype` is that of the backbone; the head is in float32. `is_trained` refuses a model whose file lacks the head or
    any other weight. `members` and `outputs`: see `Metadata`. `quantization`: see `four_bits`.

    Returns:
        A token classifier with logits ``(chains, length, channels)``; see `LABELS` for the channels.

    Raises:
        ModelError: it is not a model, or the stored head has the wrong shape.
    """
    config = _base_config(name)
    text = config.get_text_config(decoder=True)
    labels = LABELS[kind] if members == 1 else tuple(f"{n} {k}" for k in range(members) for n in LABELS[kind])
    labels = tuple(outputs) or labels
    text.id2label = dict(enumerate(labels))
    text.label2id = {label: number for number, label in enumerate(labels)}
    text.classifier_dropout = 0.0
    if outputs:
        text.problem_type = "regression"  # plain transformers' pipeline would give their softmax
    text.token_classification_bias = kind != "orm"  # sequence classifiers have none
    if pad_token_id is not None:
        text.pad_token_id = pad_token_id
    model_class, load = classifier_class(text, form_of(text, kind)), _load if text is config else _load_text_part
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            options = {} if quantization is None else {"quantization_config": quantization}
            model, missing = load(model_class, name, text, dtype, options)
            if model.score.weight.dtype != torch.float32:  # a stored one would be
                torch.manual_seed(seed)
                _draw_head(model)
    except ImportError as error:  # of a package that only this model needs
        raise ModelError(f"{name}: {first_line(error)}", "install that package") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{name}: cannot be loaded as {_NAMES[kind]}: {first_line(error)}", GIVE_A_MODEL) from error
    if is_trained:
        require_complete(name, missing)
    if quantization is not None:
        _keep_differentiable(model)
    return model


def load_policy(name: str, dtype: torch.dtype = torch.float32, quantization: Any = None) -> Any:
    """Load a causal language model to train as it is; see `load_model`.

    Raises:
        ModelError: it is not one, or its file lacks weights.
    """
    config = _base_config(name)
    architecture = (config.architectures or ["model without an architecture"])[0]
    if not is_decoder(config) or not architecture.endswith(LANGUAGE_MODELS):
        raise ModelError(f"{name}: a {architecture} is no language model of text alone", GIVE_A_MODEL)
    options = {} if quantization is None else {"quantization_config": quantization}
    model = load_strictly(name, config, dtype, **options)
    if quantization is not None:
        _keep_differentiable(model)
    return model


def begin_head(model: Any, kind: Kind, name: str, words: Sequence[int]) -> None:
    """Let a new head begin as a language model's choice between two words.

    A step's log-odds, and a chain's reward, are then those of the second word against the first: what Math-Shepherd
    reads (arXiv 2312.08935, section 3), to train on from.

    Args:
        model: from `load_model`.
        kind: its kind.
        name: the backbone that it was loaded from.
        words: ids of the words for wrong and right.
    """
    if model.config.tie_word_embeddings:
        rows = model.get_input_embeddings().weight[list(words)]
    else:
        causal = AutoModelForCausalLM.from_pretrained(name, dtype=model.dtype)
        rows = causal.get_output_embeddings().weight[list(words)]
    wrong, right = rows.detach().float()
    parts = {"prm": (wrong, right), "orm": (right - wrong,), "joint": (wrong, right, right - wrong)}[kind]
    with torch.no_grad():
        head = model.score
        head.weight.copy_(torch.stack(parts).repeat(head.weight.shape[0] // len(parts), 1))
        if head.bias is not None:
            head.bias.zero_()


def _load(
    model_class: Any, name: str, config: Any, dtype: torch.dtype, options: Mapping[str, Any]
) -> tuple[Any, list[str]]:
    """A model, and the names of its weights that the file lacks."""
    options = {"dtype": dtype, "output_loading_info": True, **attention(config), **options}
    model, found = model_class.from_pretrained(name, config=config, **options)
    return model, found["missing_keys"]


def _load_text_part(
    model_class: Any, name: str, config: Any, dtype: torch.dtype, options: Mapping[str, Any]
) -> tuple[Any, list[str]]:
    """The same of a model that also takes images or sound, of which only the decoder is kept."""
    decoder = decoder_of(AutoModel.from_pretrained(name, dtype=dtype, **options), config)
    with torch.device("meta"):
        model = model_class(config)
    setattr(model, model.base_model_prefix, decoder)
    _draw_head(model)
    return model, ["every weight of its head"]


def _draw_head(model: Any) -> None:
    """Replace the head by a new one in float32."""
    outputs, width = model.score.weight.shape
    with torch.device("meta"):
        head = ExactLinear(width, outputs, bias=model.score.bias is not None)
    setattr(model, model.head_name, head.to_empty(device=model.device))
    head.apply(model._init_weights)


def four_bits(dtype: torch.dtype, *, has_head: bool = True) -> Any:
    """How `load_model` holds the linear layers of a decoder in 4 bits, and computes with them in `dtype`.

    As QLoRA does: NF4, with quantized constants (arXiv 2305.14314, section 3). The head is left as it is, and without
    one, the output embedding.
    """
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=[name.rstrip(".") for name in HEAD_NAMES] if has_head else None,
    )


def _keep_differentiable(model: Any) -> None:
    """Let bitsandbytes not repack the weights for some CPUs at the first pass without gradients: it has none after."""
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def save_model(config: Any, weights: Mapping[str, torch.Tensor], kind: Kind | None, directory: Path) -> None:
    """Write a model from `load_model` or `load_policy` in the form that plain transformers loads, if it has one.

    Args:
        config: its configuration.
        weights: its state dict.
        kind: its kind; None for a language model.
        directory: the directory to write.
    """
    with torch.device("meta"):
        if kind is None:
            model = AutoModelForCausalLM.from_config(config)
        else:
            model = classifier_class(config, form_of(config, kind))(config)
    model.load_state_dict(weights, assign=True)
    model.save_pretrained(directory)


def _base_config(name: str) -> Any:
    require_model(name, "config.json")
    try:
        config = AutoConfig.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{name}: is not a model: {first_line(error)}", GIVE_A_MODEL) from error
    require_decoder(name, config)
    return config


def context_length(name: str) -> int:
    """Most tokens that a model takes; raises as `load_model` what is no model to train."""
    return length_limit(_base_config(name))


def renderer_of(tokenizer: Any, metadata: Metadata) -> StepRenderer:
    """The renderer that a checkpoint was trained with."""
    prompt = prompt_of(metadata.template)
    if metadata.form == "whole":
        return SolutionRenderer(tokenizer, chat=metadata.chat, prompt=prompt)
    return Renderer(tokenizer, separator=metadata.separator, chat=metadata.chat, prompt=prompt)


_NAMES = {"prm": "a PRM", "orm": "an ORM", "joint": "a joint PRM and ORM"}

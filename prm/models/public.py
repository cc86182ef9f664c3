"""Public reward models, ready to score: the model, its head, and the renderer that feeds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from prm.errors import ModelError

from .architectures import (
    GATED,
    Adapter,
    LlamaForSequenceClassificationWithNormal_Weights,
    adapter_of,
    as_classifier,
    load_adapted,
    load_config,
    load_strictly,
)
from .checkpoint import load_tokenizer, stored_file
from .dialects import DIALECT_FILE, Dialect, answer_ids, make_renderer, with_system
from .families import choose_dialect, companion_of
from .heads import PolicyAndReference, ReadHead, causal_head, gated_head, reward_head, score_head, weighed_head
from .layouts import StepRenderer


@dataclass(frozen=True, slots=True)
class PublicModel:
    """A public reward model and how to use it."""

    model: Any
    """The loaded model."""
    head: ReadHead
    """Reads its outputs."""
    renderer: StepRenderer
    """Renders its inputs."""
    dialect: Dialect
    """The dialect of its family."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which public model to load, and how."""

    name: str
    """Directory or Hub name."""
    dialect: str | Dialect | None = None
    """A dialect, its name or its file; None for the one that follows from the model."""
    system: str | None = None
    """System prompt in place of the dialect's; "" for none."""
    reference: str | None = None
    """The model that an implicit reward is relative to; None for the one on the model's card."""
    dtype: str | torch.dtype = "auto"
    files: Mapping[str, Any] = field(default_factory=dict)
    """See `prm.models.architectures.load_config`."""
    merges: bool = False
    """Whether an adapter is merged into its base model."""
    device_map: Any = None
    """How transformers spreads it over devices; None for one device."""


def load_reading(wanted: Wanted) -> tuple[StepRenderer, Dialect]:
    """Renderer and dialect of a public model, without loading the model; raises as `load_public`."""
    source, config, files, _ = _source(wanted)
    return _reading(wanted, source, config, files)


def _source(wanted: Wanted) -> tuple[str, Any, Mapping[str, Any], Adapter | None]:
    """Where the model's weights are, which for an adapter is its base model: name, configuration and files."""
    adapter = adapter_of(wanted.name, **wanted.files)
    if adapter is None:
        return wanted.name, load_config(wanted.name, **wanted.files), wanted.files, None
    source = companion_of(wanted.name) or adapter.base
    return source, as_classifier(wanted.name, load_config(source), adapter), {}, adapter


def _reading(wanted: Wanted, source: str, config: Any, files: Mapping[str, Any]) -> tuple[StepRenderer, Dialect]:
    """The same with the tokenizer of `source`, which is the base model of an adapter without a tokenizer of its own."""
    if source != wanted.name and stored_file(wanted.name, "tokenizer_config.json", wanted.files):
        source, files = wanted.name, wanted.files
    given = wanted.dialect or stored_file(wanted.name, DIALECT_FILE, wanted.files)
    chosen = choose_dialect(wanted.name, config.architectures[0], config.num_labels, given)
    dialect = with_system(chosen, wanted.system)
    return make_renderer(load_tokenizer(source, **files), wanted.name, dialect, config), dialect


@dataclass(frozen=True, slots=True)
class Shown:
    """How a model reads an example, for a person to check."""

    dialect: Dialect
    pieces: tuple[tuple[str, bool], ...]
    """The tokens in order, as texts, each with whether it is read."""
    reads: tuple[tuple[int, int, str], ...]
    """For each step, or the whole solution: place, id and text of the token that is read."""
    answers: tuple[tuple[int, str], ...]
    """Ids and texts of the tokens whose logits are the outputs, for a causal language model."""


def show(wanted: Wanted, problem: str, steps: Sequence[str]) -> Shown:
    """Render an example as the model would read it; its weights are not loaded.

    Raises:
        ModelError: as `load_public`.
        RenderError: the example cannot be rendered.
    """
    renderer, dialect = load_reading(wanted)
    tokenizer, rendered = renderer.tokenizer, renderer.render(problem, steps)
    texts = _pieces(tokenizer, rendered.ids)
    places = set(rendered.step_ends)
    ids = [] if dialect.needs_reference or not dialect.is_causal else answer_ids(tokenizer, wanted.name, dialect)
    return Shown(
        dialect,
        tuple((text, place in places) for place, text in enumerate(texts)),
        tuple((place, rendered.ids[place], texts[place]) for place in rendered.step_ends),
        tuple((token, tokenizer.decode([token])) for token in ids),
    )


def _pieces(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """The text that each token adds: alone, one of SentencePiece loses its space. A part of a character adds none."""
    found, before = list[str](), ""
    for end in range(1, len(ids) + 1):
        whole = tokenizer.decode(list(ids[:end]), clean_up_tokenization_spaces=False)
        found.append("" if whole.endswith("\ufffd") else whole[len(before) :])
        before = before if whole.endswith("\ufffd") else whole
    return found


def load_public(wanted: Wanted) -> PublicModel:
    """Load a public reward model; see `prm.scoring.loading.load_scorer`."""
    name, (source, config, files, adapter) = wanted.name, _source(wanted)
    renderer, dialect = _reading(wanted, source, config, files)
    placed = {} if wanted.device_map is None else {"device_map": wanted.device_map}
    brings_head = adapter is not None and not dialect.is_causal
    model = load_strictly(source, config, wanted.dtype, new_head=brings_head, **files, **placed)
    if adapter is not None:
        model = load_adapted(name, model, merges=wanted.merges, **wanted.files)
    if dialect.needs_reference:
        model = PolicyAndReference(model, _load_reference(wanted, config, dialect, placed))
    elif wanted.reference:
        raise ModelError(f"{name}: takes no reference model", "omit reference")
    return PublicModel(model, _head(model, renderer.tokenizer, name, dialect), renderer, dialect)


def _load_reference(wanted: Wanted, config: Any, dialect: Dialect, placed: Mapping[str, Any]) -> Any:
    reference = wanted.reference or companion_of(wanted.name) or _own_companion(wanted.name, dialect)
    if reference is None:
        raise ModelError(f"{wanted.name}: an implicit reward needs a reference model", "give reference=")
    its_config = load_config(reference)
    is_causal = its_config.architectures[0].endswith("ForCausalLM")
    if not is_causal or its_config.get_text_config().vocab_size != config.get_text_config().vocab_size:
        raise ModelError(
            f"{reference}: is not a causal language model with the vocabulary of {wanted.name}",
            "give the model that it was trained from",
        )
    return load_strictly(reference, its_config, wanted.dtype, **placed)


def _own_companion(name: str, dialect: Dialect) -> str | None:
    """The reference that a dialect file names: a directory, seen from the model's own, or a name on the Hub."""
    if dialect.hub_names or dialect.companion is None:
        return None
    beside = Path(name) / dialect.companion
    return str(beside) if beside.is_dir() else dialect.companion


def _head(model: Any, tokenizer: Any, name: str, dialect: Dialect) -> ReadHead:
    if dialect.needs_reference:
        return partial(reward_head, beta=dialect.beta)
    if dialect.is_causal:
        return causal_head(model, answer_ids(tokenizer, name, dialect))
    if isinstance(model, GATED):
        return partial(gated_head, asked=_between_turns(tokenizer))
    if isinstance(model, LlamaForSequenceClassificationWithNormal_Weights):
        return weighed_head
    if getattr(model, "score", None) is None:
        raise ModelError(f"{name}: a {type(model).__name__} has no head of the expected form", "see docs/scoring.md")
    return score_head


def _between_turns(tokenizer: Any) -> list[int]:
    """Ids of what a chat template puts between a question and its answer."""
    turns = [{"role": "user", "content": "-0-"}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    between = text[text.rfind("-0-") + 3 :]
    return list(tokenizer(between, add_special_tokens=False)["input_ids"])

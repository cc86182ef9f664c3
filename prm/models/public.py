"""Public reward models, ready to score: the model, its head, and the renderer that feeds it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from prm.errors import ModelError

from .architectures import adapter_base, load_adapted, load_config, load_strictly
from .checkpoint import load_tokenizer
from .dialects import BETA, DIALECTS, Dialect, choose_dialect, companion_of, dialect_renderer, mark_id
from .heads import PolicyAndReference, ReadHead, candidate_head, reward_head, score_head
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


def load_reading(name: str, wanted: str | None) -> tuple[StepRenderer, Dialect]:
    """Renderer and dialect of a public model, without loading the model; raises as `load_public`."""
    return _reading(name, name, load_config(name), wanted)


def _reading(name: str, base: str, config: Any, wanted: str | None) -> tuple[StepRenderer, Dialect]:
    """The same for the model `name`, which is an adapter if `base` differs from it."""
    dialect = DIALECTS[choose_dialect(name, config.architectures[0], config.num_labels, wanted)]
    return dialect_renderer(load_tokenizer(base), name, dialect, config.get_text_config().pad_token_id), dialect


def load_public(name: str, wanted: str | None, reference: str | None, dtype: str) -> PublicModel:
    """Load a public reward model; see `prm.scoring.loading.load_scorer`."""
    base = adapter_base(name)
    base = base and (companion_of(name) or base)
    config = load_config(base or name)
    renderer, dialect = _reading(name, base or name, config, wanted)
    model = load_strictly(base or name, config, dtype)
    model = load_adapted(name, model) if base else model
    if dialect.needs_reference:
        model = PolicyAndReference(model, _load_reference(name, reference, config, dialect, dtype))
    elif reference:
        raise ModelError(f"{name}: takes no reference model", "omit reference")
    return PublicModel(model, _head(model, renderer.tokenizer, name, dialect), renderer, dialect)


def _load_reference(name: str, given: str | None, config: Any, dialect: Dialect, dtype: str) -> Any:
    reference = given or companion_of(name)
    if reference is None:
        raise ModelError(f"{name}: an implicit reward needs a reference model", "give reference=")
    its_config = load_config(reference)
    if its_config.architectures[0] not in dialect.architectures or its_config.vocab_size != config.vocab_size:
        raise ModelError(
            f"{reference}: is not a causal language model with the vocabulary of {name}",
            "give the model that it was trained from",
        )
    return load_strictly(reference, its_config, dtype)


def _head(model: Any, tokenizer: Any, name: str, dialect: Dialect) -> ReadHead:
    if dialect.needs_reference:
        return partial(reward_head, beta=BETA)
    if dialect.answers is not None:
        ids = [mark_id(tokenizer, answer, name, dialect) for answer in dialect.answers]
        return partial(candidate_head, candidates=ids)
    if getattr(model, "score", None) is None:
        raise ModelError(f"{name}: a {type(model).__name__} has no head of the expected form", "see docs/scoring.md")
    return score_head

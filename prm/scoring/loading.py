"""From the name of a reward model, ours or public, to a scorer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from prm.errors import ModelError
from prm.models.architectures import ARCHITECTURES, load_config, load_strictly, require_model
from prm.models.checkpoint import METADATA, Metadata, load_metadata, load_model, load_tokenizer, renderer_of
from prm.models.dialects import Dialect
from prm.models.heads import HEADS, Kind, score_head, token_head
from prm.models.layouts import StepRenderer
from prm.models.public import PublicModel, load_public, load_reading
from prm.statistics.calibration import Calibration

from .backends import Backend, TransformersBackend
from .reward_model import RewardModel
from .scorer import Scorer

DTYPES = {"auto": torch.float32, "float32": torch.float32, "bfloat16": torch.bfloat16}
"""Of our own checkpoints; a public one is loaded as it is stored where "auto" is asked for."""


def load_scorer(
    name: str,
    head: str | None = None,
    *,
    dialect: str | None = None,
    reference: str | None = None,
    dtype: str = "auto",
    backend: str = "transformers",
    tokens_a_batch: int | None = None,
    engine_options: Mapping[str, Any] | None = None,
    is_calibrated: bool = False,
) -> Scorer:
    """Load a scorer that `prm train` wrote, or a public reward model.

    Args:
        name: directory or name on the Hub.
        head: which head of a joint model of ours to score with; the step head where it is not said.
        dialect: of a public model, how it is fed and read, a name in `prm.models.dialects.DIALECTS`. Needed only where
            neither its name nor its architecture says it: for causal language models that are not on the list.
        reference: the model that an implicit reward is relative to; of a known model on the Hub, that of its card.
        dtype: of the weights; "auto" is that of the file, or float32 for our own.
        backend: "transformers", in this process; or "vllm", for classifiers and Qwen's process reward models.
        tokens_a_batch: for transformers: padded tokens in one forward pass.
        engine_options: for vLLM: passed on to `vllm.LLM` as they are.
        is_calibrated: whether to apply the calibration of step scores, or for an outcome head that of rewards, that
            `prm calibrate --scorer` stored with one of ours.

    Raises:
        ModelError: there is no such model, head, dialect, backend or calibration; the model is none of the dialect's or
            backend's; or its file lacks weights or holds others.
    """
    if dtype not in DTYPES:
        raise ModelError(f"there is no dtype {dtype!r}", f"choose from {', '.join(DTYPES)}")
    require_model(name)
    _require_backend(name, backend, vllm=engine_options, transformers=tokens_a_batch or reference)
    is_own = (Path(name) / METADATA).exists()
    if head and not is_own:
        raise ModelError(f"{name}: only models that `prm train` wrote have a {head} head", "leave head out")
    if is_calibrated and not is_own:
        raise ModelError(f"{name}: no calibration is stored with it", "only with models that `prm train` wrote")
    if is_own and (dialect or reference):
        raise ModelError(f"{name}: its {METADATA} says how it is read", "leave dialect and reference out")
    if backend == "vllm":
        from .vllm_backend import VllmBackend

        own_dtype = "float32" if is_own and dtype == "auto" else dtype
        served = partial(VllmBackend, name, dtype=own_dtype, **(engine_options or {}))
        return (
            _own_scorer(name, head, is_calibrated, lambda _: served())
            if is_own
            else _served_scorer(name, dialect, served)
        )
    if is_own:
        return _own_scorer(name, head, is_calibrated, lambda kind: _own_backend(name, kind, dtype, tokens_a_batch))
    return _public_scorer(load_public(name, dialect, reference, dtype), tokens_a_batch)


def _require_backend(name: str, backend: str, **options: object) -> None:
    """Refuse a backend that there is none of, and options that only another one heeds."""
    if backend not in options:
        raise ModelError(f"there is no backend {backend!r}", f"choose from {', '.join(sorted(options))}")
    for other, option in options.items():
        if other != backend and option:
            raise ModelError(
                f"{name}: the backend {backend} has no use for {option!r}", f"leave it out, or use {other}"
            )


def _public_scorer(found: PublicModel, tokens_a_batch: int | None) -> Scorer:
    backend = TransformersBackend(_placed(found.model), found.head, tokens_a_batch=tokens_a_batch)
    return _speaking(backend, found.renderer, found.dialect)


def _served_scorer(name: str, dialect: str | None, serve: Callable[[], Backend]) -> Scorer:
    renderer, spoken = load_reading(name, dialect)
    return _speaking(serve(), renderer, spoken)


def _speaking(backend: Backend, renderer: StepRenderer, spoken: Dialect) -> Scorer:
    return RewardModel(
        backend, renderer, spoken.readout, spoken.kind, threshold=spoken.threshold, aggregator=spoken.aggregator
    )


def _placed(model: Any) -> Any:
    return model.to("cuda") if torch.cuda.is_available() else model


def _own_backend(name: str, kind: Kind, dtype: str, tokens_a_batch: int | None) -> Backend:
    config = load_config(name)
    if config.architectures[0] in ARCHITECTURES:  # converted
        model, reader = load_strictly(name, config, DTYPES[dtype]), score_head
    else:
        model, reader = load_model(name, kind, dtype=DTYPES[dtype], is_trained=True), token_head
    return TransformersBackend(_placed(model), reader, tokens_a_batch=tokens_a_batch)


def _own_scorer(name: str, head: str | None, is_calibrated: bool, make_backend: Callable[[Kind], Backend]) -> Scorer:
    metadata = load_metadata(Path(name))
    own = HEADS[metadata.kind]
    if head not in (*own, None):
        raise ModelError(f"{name}: has no {head} head", f"it has: {', '.join(own)}")
    is_step = (head or own[0]) == "step"
    calibration = _stored_calibration(name, metadata, is_step) if is_calibrated else None
    renderer = renderer_of(load_tokenizer(name), metadata)
    backend = make_backend(metadata.kind)
    if is_step:
        return RewardModel(
            backend, renderer, "softmax", "prm", threshold=0.5, aggregator="min", calibration=calibration
        )
    return RewardModel(backend, renderer, "reward", "orm", calibration=calibration)


def _stored_calibration(name: str, metadata: Metadata, is_step: bool) -> Calibration:
    """Of step scores, or of rewards; one of a PRM's aggregated chain scores is for after scoring."""
    row = (metadata.calibration or {}).get("step" if is_step else "reward")
    if row is None:
        raise ModelError(
            f"{name}: no calibration of its {'step scores' if is_step else 'rewards'} is stored with it",
            f"prm calibrate --level {'step' if is_step else 'chain'} --scorer {name}",
        )
    return Calibration.from_json(row)

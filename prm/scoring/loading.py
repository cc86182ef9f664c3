"""From the name of a reward model, our own or a public one, to a scorer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from prm.errors import ModelError, require_number, require_texts
from prm.models.architectures import ARCHITECTURES, first_line, load_config, load_strictly, require_model
from prm.models.checkpoint import METADATA, Metadata, load_metadata, load_model, load_tokenizer, renderer_of
from prm.models.dialects import Dialect, OutputChoice, weights_of
from prm.models.families import DIALECTS, given_dialect
from prm.models.heads import HEADS, ReadHead, score_head, token_head
from prm.models.layouts import StepRenderer
from prm.models.public import Wanted, load_public, load_reading
from prm.statistics.calibration import Calibration

from .backends import Backend, TransformersBackend
from .ensembles import how_named
from .reward_model import RewardModel
from .scorer import Scorer

DTYPES = {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""By name; "auto" is float32 for our own checkpoints, and the type it is stored in for a public one."""


def load_scorer(
    name: str,
    head: str | None = None,
    *,
    dialect: str | Dialect | None = None,
    system: str | None = None,
    output: OutputChoice | None = None,
    how: str | None = None,
    reference: str | None = None,
    dtype: str = "auto",
    device: str | None = None,
    device_map: Any = None,
    revision: str | None = None,
    subfolder: str = "",
    token: str | None = None,
    backend: str = "transformers",
    tokens_per_pass: int | None = None,
    reuse_tokens: int | None = None,
    engine_options: Mapping[str, Any] | None = None,
    is_calibrated: bool = False,
) -> Scorer:
    """Load a scorer that `prm train` wrote, or a public reward model.

    Args:
        name: directory or name on the Hub; or the address of `prm serve`, with `#NAME` for one of several scorers.
        head: head of our own joint model to score with, "step" or "outcome"; None for the step head.
        dialect: how a public model is fed and read: a name in `prm.models.families.DIALECTS`, a file, or a `Dialect`.
            Needed for a causal language model that is not on the list, whose name and architecture do not tell.
        system: system prompt in place of the dialect's; "" for none.
        output: name of the score to give, of a model that has several; or a weight for each of some of them, whose
            weighted sum is given: `{"helpfulness": 0.6, "verbosity": -0.1}`, or as text,
            "helpfulness=0.6,verbosity=-0.1". None for the usual one; our own model has none if it has several outputs.
        how: how the scores of our own model's members become one, see `prm.Ensemble`; None for their mean.
        reference: the model that an implicit reward is relative to; None for the one that the model's card names.
        dtype: of the weights: "float32", "bfloat16" or "float16"; "auto" is that of the file, or float32 for our own.
        device: such as "cuda:1" or "cpu"; None for a GPU if there is one.
        device_map: of a public model over several GPUs, as transformers takes it, such as "auto".
        revision: of a model on the Hub: branch, tag or commit.
        subfolder: where the model lies in its repository or directory; for vLLM, in its directory alone.
        token: for the Hub, or for `prm serve`; vLLM reads the environment's `HF_TOKEN` instead.
        backend: "transformers", in this process; "vllm", for classifiers and Qwen's process reward models; or "server",
            for the same on a running vLLM server, see docs/serving.md.
        tokens_per_pass: for transformers: padded tokens in one forward pass.
        reuse_tokens: for transformers: tokens whose keys and values are kept, so that a chain that begins like an
            earlier one is read only from where the two part, as in a search; None to read whole chains.
        engine_options: for vLLM: passed to `vllm.LLM` unchanged; for a server: `url` (or several), `model` and `token`.
        is_calibrated: whether to apply the calibration that `prm calibrate --scorer` stored with our own model: that
            of step scores or, for an outcome head, that of rewards.

    Raises:
        ModelError: the model, head, dtype, dialect, backend or calibration is unknown or missing; the dialect or
            backend does not fit the model; or its file lacks weights or has unexpected ones.
        InputError: `tokens_per_pass` or `reuse_tokens` is not a whole number of at least 1, or a weight of an output no
            finite number.
    """
    if name.startswith(("http://", "https://")):
        given: dict[str, Any] = {
            "head": head, "dialect": dialect, "system": system is not None, "output": output, "how": how,
            "reference": reference, "dtype": dtype != "auto", "device": device, "device_map": device_map,
            "revision": revision, "subfolder": subfolder, "backend": backend != "transformers",
            "tokens_per_pass": tokens_per_pass, "reuse_tokens": reuse_tokens, "engine_options": engine_options,
            "is_calibrated": is_calibrated,
        }  # fmt: skip
        return _remote(name, given, token)
    if dtype not in DTYPES:
        raise ModelError(f"unknown dtype {dtype!r}", f"choose from {', '.join(DTYPES)}")
    for argument, value in (("tokens_per_pass", tokens_per_pass), ("reuse_tokens", reuse_tokens)):
        if value is not None:
            require_number(argument, value, "[1, inf)", whole=True)
    if Path(name).is_dir():
        name, subfolder = str(Path(name) / subfolder), ""
    named = {"revision": revision, "subfolder": subfolder, "token": token}
    files = {key: value for key, value in named.items() if value}
    model = Wanted(name, dialect, system, reference, DTYPES[dtype] or "auto", files, device_map=device_map)
    wanted = _Wanted(model, device, tokens_per_pass, reuse_tokens, engine_options or {})
    require_model(name)
    _require_backend(wanted, backend)
    if (Path(name) / METADATA).exists() and (revision or token):
        raise ModelError(f"{name}: is a directory, which has no revisions and needs no token", "omit them")
    if (Path(name) / METADATA).exists():
        if dialect or reference or system is not None:
            raise ModelError(f"{name}: its {METADATA} says how it is read", "omit dialect, system and reference")
        scorer = _own_scorer(wanted, head, output, how, is_calibrated, BACKENDS[backend].load_own)
    else:
        _require_no_settings_of_our_own(name, head, how, is_calibrated)
        scorer = _public_scorer(*BACKENDS[backend].load_public(wanted), output)
    what = {"head": head, "dialect": _recorded(dialect), "system": system, "output": output, "how": how}
    what |= {"reference": reference, "dtype": None if dtype == "auto" else dtype, "revision": revision}
    what |= {"is_calibrated": is_calibrated or None}
    scorer.name, scorer.settings = name, {key: value for key, value in what.items() if value is not None}
    return scorer


def _remote(address: str, given: Mapping[str, Any], token: str | None) -> Scorer:
    """A scorer of a server, which has loaded it."""
    from .remote.client import RemoteScorer

    if wrong := [argument for argument, value in given.items() if value]:
        raise ModelError(f"{address}: {wrong[0]} has no effect on a scorer that is served", "give it to prm serve")
    url, _, name = address.partition("#")
    return RemoteScorer(url, name or None, token=token)


def _recorded(dialect: str | Dialect | None) -> Any:
    """A dialect as manifests name it: by its fields, for a file may change."""
    if dialect is None or (isinstance(dialect, str) and dialect in DIALECTS):
        return dialect
    row = json.dumps(asdict(given_dialect(dialect)), sort_keys=True)
    return hashlib.sha256(row.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The arguments of `load_scorer` that concern a backend."""

    model: Wanted
    device: str | None
    tokens_per_pass: int | None
    reuse_tokens: int | None
    engine_options: Mapping[str, Any]

    @property
    def given(self) -> dict[str, Any]:
        """The arguments that not every backend uses."""
        names = ("device", "tokens_per_pass", "reuse_tokens", "engine_options")
        return {"reference": self.model.reference, "device_map": self.model.device_map} | {
            name: getattr(self, name) for name in names
        }


def _require_backend(wanted: _Wanted, backend: str) -> None:
    """Refuse an unknown backend, and arguments that only another backend uses."""
    if backend not in BACKENDS:
        raise ModelError(f"unknown backend {backend!r}", f"choose from {', '.join(BACKENDS)}")
    for other, loader in BACKENDS.items():
        for argument in set(loader.arguments) - set(BACKENDS[backend].arguments):
            if value := wanted.given[argument]:
                raise ModelError(
                    f"{wanted.model.name}: {argument}={value!r} has no effect on the backend {backend}",
                    f"omit it, or use {other}",
                )


def _require_no_settings_of_our_own(name: str, head: str | None, how: str | None, is_calibrated: bool) -> None:
    if how:
        raise ModelError(f"{name}: has no members to combine", "omit how; several models: prm.Ensemble, prm combine")
    if head:
        raise ModelError(f"{name}: only models that `prm train` wrote have a {head} head", "omit head")
    if is_calibrated:
        raise ModelError(f"{name}: no calibration is stored with it", "only models that `prm train` wrote can have one")


Public = tuple[Backend, StepRenderer, Dialect]
"""A public model on a backend, how it is fed, and how it is read."""


def _public_on_transformers(wanted: _Wanted) -> Public:
    found = load_public(wanted.model)
    return _in_this_process(found.model, found.head, wanted), found.renderer, found.dialect


def _own_on_transformers(wanted: _Wanted, metadata: Metadata) -> Backend:
    name, dtype = wanted.model.name, wanted.model.dtype
    stored = torch.float32 if isinstance(dtype, str) else dtype
    config = load_config(name)
    if config.architectures[0] in ARCHITECTURES:  # converted
        model, reader = load_strictly(name, config, stored), score_head
    else:
        model, reader = _own_model(name, metadata, stored), token_head
    return _in_this_process(model, reader, wanted)


def _in_this_process(model: Any, head: ReadHead, wanted: _Wanted) -> Backend:
    backend = TransformersBackend(_placed(model, wanted), head, tokens_per_pass=wanted.tokens_per_pass)
    if wanted.reuse_tokens is None:
        return backend
    from .prefixes import PrefixBackend

    return PrefixBackend(backend, wanted.reuse_tokens)


def _own_model(name: str, metadata: Metadata, dtype: torch.dtype) -> Any:
    return load_model(
        name, metadata.kind, dtype=dtype, members=metadata.members, outputs=metadata.outputs, is_trained=True
    )


def _placed(model: Any, wanted: _Wanted) -> Any:
    """The model on its device, unless transformers has placed it."""
    if wanted.model.device_map is not None or getattr(model.config, "quantization_config", None):
        return model
    try:
        return model.to(wanted.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"{wanted.model.name}: cannot be put on {wanted.device}: {first_line(error)}", "give a device that is there"
        ) from error


_UNKNOWN_TO_VLLM = {
    "subfolder": "download the repository, and give the path of that folder in it",
    "token": "set HF_TOKEN in the environment, which vLLM reads too",
}
"""Where a model's files are on the Hub, so far as vLLM's own loading of the weights takes no such option; and a way."""


def _public_on_vllm(wanted: _Wanted) -> Public:
    for name, instead in _UNKNOWN_TO_VLLM.items():
        if name in wanted.model.files:
            raise ModelError(f"{wanted.model.name}: vLLM loads no weights by {name}", instead)
    renderer, dialect = load_reading(wanted.model)
    return _served(wanted, "auto"), renderer, dialect


def _own_on_vllm(wanted: _Wanted, _: Metadata) -> Backend:
    return _served(wanted, "float32")


def _public_on_server(wanted: _Wanted) -> Public:
    renderer, dialect = load_reading(wanted.model)
    return _upstream(wanted), renderer, dialect


def _own_on_server(wanted: _Wanted, _: Metadata) -> Backend:
    return _upstream(wanted)


def _upstream(wanted: _Wanted) -> Backend:
    from .remote.upstream import ServerBackend

    options = dict(wanted.engine_options)
    if not (urls := require_texts("url", options.pop("url", ()))):
        raise ModelError(f"{wanted.model.name}: no server is given", "such as url=http://localhost:8000")
    return ServerBackend(wanted.model.name, urls, files=wanted.model.files, **options)


def _served(wanted: _Wanted, usual: str) -> Backend:
    """The model in vLLM; `usual`: its dtype, if none is asked for."""
    from .vllm_backend import VllmBackend

    dtype = str(wanted.model.dtype).removeprefix("torch.")
    options = {"revision": revision} if (revision := wanted.model.files.get("revision")) else {}
    return VllmBackend(wanted.model.name, dtype=usual if dtype == "auto" else dtype, **options, **wanted.engine_options)


@dataclass(frozen=True, slots=True)
class BackendLoader:
    """How one backend loads models."""

    load_public: Callable[[_Wanted], Public]
    load_own: Callable[[_Wanted, Metadata], Backend]
    """Load a checkpoint that `prm train` wrote, with this metadata."""
    arguments: tuple[str, ...]
    """The arguments of `load_scorer` that not every backend uses."""


BACKENDS = {
    "transformers": BackendLoader(
        _public_on_transformers,
        _own_on_transformers,
        ("tokens_per_pass", "reuse_tokens", "reference", "device", "device_map"),
    ),
    "vllm": BackendLoader(_public_on_vllm, _own_on_vllm, ("engine_options",)),
    "server": BackendLoader(_public_on_server, _own_on_server, ("engine_options",)),
}
"""Name to loader; a new backend is one more row."""


def _public_scorer(backend: Backend, renderer: StepRenderer, dialect: Dialect, output: OutputChoice | None) -> Scorer:
    return RewardModel(
        backend,
        renderer,
        dialect.readout,
        dialect.kind,
        weights=dialect.weights(output),
        threshold=dialect.threshold,
        aggregator=dialect.aggregator,
    )


def _own_scorer(
    wanted: _Wanted,
    head: str | None,
    output: OutputChoice | None,
    how: str | None,
    is_calibrated: bool,
    load: Callable[[_Wanted, Metadata], Backend],
) -> Scorer:
    name = wanted.model.name
    metadata = load_metadata(Path(name))
    own = HEADS[metadata.kind]
    if head not in (*own, None):
        raise ModelError(f"{name}: has no {head} head", f"it has: {', '.join(own)}")
    if how and metadata.members == 1:
        raise ModelError(f"{name}: has one member, and nothing to combine", "omit how")
    how_named(how or "mean")
    weights = _output_weights(name, metadata, output)
    is_step = (head or own[0]) == "step"
    calibration = _stored_calibration(name, metadata, is_step) if is_calibrated else None
    renderer = renderer_of(load_tokenizer(name), metadata)
    backend = load(wanted, metadata)
    if is_step:
        return RewardModel(
            backend,
            renderer,
            "softmax",
            "prm",
            threshold=None if metadata.labels == "order" else 0.5,
            aggregator="min",
            calibration=calibration,
            members=metadata.members,
            how=how or "mean",
            is_beta=metadata.is_beta,
        )
    return RewardModel(backend, renderer, "reward", "orm", weights=weights, calibration=calibration)


def _output_weights(name: str, metadata: Metadata, output: OutputChoice | None) -> tuple[float, ...] | None:
    """Weights of the outputs of our own model for the score that is asked for; None for its only one."""
    own = metadata.outputs
    if output is None and len(own) < 2:
        return None
    if output is None:
        raise ModelError(
            f"{name}: has several outputs, and none is chosen: {', '.join(own)}",
            f"output={own[0]!r}, or a weight for each",
        )
    return weights_of({one: tuple(float(one == other) for other in own) for one in own}, output)


def _stored_calibration(name: str, metadata: Metadata, is_step: bool) -> Calibration:
    """The calibration of step scores, or of rewards; that of a PRM's chain scores applies only after aggregation."""
    row = (metadata.calibration or {}).get("step" if is_step else "reward")
    if row is None:
        raise ModelError(
            f"{name}: no calibration of its {'step scores' if is_step else 'rewards'} is stored with it",
            f"prm calibrate --level {'step' if is_step else 'chain'} --scorer {name}",
        )
    return Calibration.from_json(row)

"""Public reward models: the input format and read-out of each family, in one table.

A family's conventions are its dialect. It is chosen by the caller, by an exact name on the Hub, or by an architecture
that only one family has; never by part of a name. The sources are the model cards and their authors' scripts;
`docs/scoring.md` shows the table. Left out: ReasonEval, and critics that generate text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Literal

from prm.errors import ModelError

from .layouts import (
    PieceRenderer,
    StepRenderer,
    TextRenderer,
    WholeRenderer,
    chat_marked,
    chat_spans,
    chat_turns,
    chat_whole,
    plain_marked,
)

SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."
"""The system prompt of Qwen2.5-Math's reward models."""
Maker = Callable[[Any, int | None, int | None], StepRenderer]
"""``(tokenizer, id of the dialect's marker, id of the model's padding token)`` → renderer."""
BETA = 0.001
"""Scale of the implicit reward, as on the card of EurusPRM-Stage2."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A text that must be one token."""

    text: str
    """The text to tokenize."""
    hub_id: int
    """Its id according to the source; checked for the models in `Dialect.hub_names`."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Input format and read-out of one family of models."""

    kind: Literal["prm", "orm"]
    """Whether its models score steps or whole solutions."""
    architectures: tuple[str, ...]
    """Names allowed in `architectures` of config.json; `*` matches any prefix."""
    hub_names: tuple[str, ...]
    """Models on the Hub known to use it."""
    form: str
    """The input format, for people."""
    read_at: str
    """The read position, for people."""
    make_renderer: Maker
    """Makes the renderer of its input."""
    readout: str
    """How the head's output becomes a score: a name in `prm.scoring.reward_model.READOUTS`."""
    range: str
    """The range of the scores."""
    threshold: float | None
    """Score above which a step counts as right; None where the source gives none."""
    aggregator: str | None
    """The authors' aggregator of step scores, or min where the source names none; None for an outcome model."""
    source: str
    """Where all this is documented."""
    labels: int | None = None
    """Number of classes that a classifier must have; None for any."""
    mark: Mark | None = None
    """The token at the read position, or right after it."""
    answers: tuple[Mark, Mark] | None = None
    """A causal model's tokens for a wrong and a right step; its output embedding is reduced to their rows."""
    companion: str | None = None
    """For `hub_names`: the base model of an adapter, or the reference model."""
    needs_reference: bool = False
    """Whether scores need a reference model too."""
    has_chat: bool = False
    """Whether it uses the tokenizer's chat template."""
    is_automatic: bool = False
    """Whether it is the default for its architecture."""


def _plain(tokenizer: Any, mark: int | None, _: int | None, *, marker: str, joint: str) -> StepRenderer:
    lay_out = partial(plain_marked, marker=marker, joint=joint)
    return TextRenderer(tokenizer, lay_out, _special(tokenizer, marker.strip(" ")), has_bos=True, expected=mark)


def _qwen(tokenizer: Any, mark: int | None, _: int | None) -> StepRenderer:
    lay_out = partial(chat_marked, marker="<extra_0>", system=SYSTEM)
    return TextRenderer(tokenizer, lay_out, _special(tokenizer, "<extra_0>"), expected=mark)


def _rlhflow(tokenizer: Any, mark: int | None, _: int | None) -> StepRenderer:
    lay_out = partial(chat_turns, answer="+")
    return TextRenderer(tokenizer, lay_out, _special(tokenizer), expected=mark, is_before=True)


def _implicit(tokenizer: Any, _mark: int | None, _: int | None) -> StepRenderer:
    return TextRenderer(tokenizer, partial(chat_spans, joint="\n\n"), _special(tokenizer), reads_on=True)


def _skywork(tokenizer: Any, _mark: int | None, _: int | None) -> StepRenderer:
    if tokenizer.bos_token_id is None:
        raise ModelError("the tokenizer has no bos_token, which starts this dialect's input", _TOKENIZER)
    return PieceRenderer(tokenizer, _special(tokenizer), [tokenizer.bos_token_id], problem_end="\n", splits_lines=True)


def _trl(tokenizer: Any, _mark: int | None, _: int | None, *, separator: str) -> StepRenderer:
    first = tokenizer.bos_token_id
    return PieceRenderer(tokenizer, _special(tokenizer), [] if first is None else [first], separator=separator)


def _pure(tokenizer: Any, _mark: int | None, _: int | None) -> StepRenderer:
    return PieceRenderer(tokenizer, _special(tokenizer), [])


def _outcome(tokenizer: Any, _mark: int | None, pad_id: int | None, *, system: str | None) -> StepRenderer:
    return WholeRenderer(tokenizer, partial(chat_whole, system=system), _special(tokenizer), pad_id)


def _special(tokenizer: Any, *more: str) -> tuple[str, ...]:
    """Texts that the tokenizer always turns into special tokens, and `more`."""
    added = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    return (*more, *added)


_TOKENIZER = "load the tokenizer that belongs to the model"

DIALECTS: dict[str, Dialect] = {
    "math-shepherd": Dialect(
        kind="prm",
        architectures=("MistralForCausalLM",),
        hub_names=("peiyi9979/math-shepherd-mistral-7b-prm",),
        form="problem, space, `Step 1: … ки`, newline, `Step 2: … ки`",
        read_at="`ки`",
        make_renderer=partial(_plain, marker=" ки", joint="\n"),
        readout="softmax",
        range="0 to 1",
        threshold=0.5,
        aggregator="min",
        source="card of peiyi9979/math-shepherd-mistral-7b-prm; arXiv 2312.08935",
        mark=Mark("ки", 12902),
        answers=(Mark("-", 387), Mark("+", 648)),
    ),
    "rlhflow": Dialect(
        kind="prm",
        architectures=("LlamaForCausalLM",),
        hub_names=("RLHFlow/Llama3.1-8B-PRM-Mistral-Data", "RLHFlow/Llama3.1-8B-PRM-Deepseek-Data"),
        form="chat: user turns of problem, space, step 1, then step 2, …; the assistant answers each with `+`",
        read_at="token before each `+`",
        make_renderer=_rlhflow,
        readout="softmax",
        range="0 to 1",
        threshold=0.5,
        aggregator="mean",
        source="RLHFlow/RLHF-Reward-Modeling, math-rm/prm_evaluate.py",
        mark=Mark("+", 10),
        answers=(Mark("-", 12), Mark("+", 10)),
        has_chat=True,
    ),
    "qwen": Dialect(
        kind="prm",
        architectures=("Qwen2ForProcessRewardModel",),
        hub_names=("Qwen/Qwen2.5-Math-PRM-7B", "Qwen/Qwen2.5-Math-PRM-72B", "Qwen/Qwen2.5-Math-7B-PRM800K"),
        form="chat with system prompt; the assistant's turn holds all steps, each followed by `<extra_0>`",
        read_at="`<extra_0>`",
        make_renderer=_qwen,
        readout="softmax",
        range="0 to 1",
        threshold=0.5,
        aggregator="product",
        source="card of Qwen/Qwen2.5-Math-PRM-7B; arXiv 2501.07301",
        mark=Mark("<extra_0>", 151651),
        is_automatic=True,
        has_chat=True,
    ),
    "skywork": Dialect(
        kind="prm",
        architectures=("Qwen2ForPrmModel",),
        hub_names=("Skywork/Skywork-o1-Open-PRM-Qwen-2.5-1.5B", "Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B"),
        form="BOS, problem, newline; each line of the solution and its newline tokenized separately",
        read_at="newline after each step",
        make_renderer=_skywork,
        readout="sigmoid",
        range="0 to 1",
        threshold=None,
        aggregator="min",
        source="SkyworkAI/skywork-o1-prm-inference, model_utils/io_utils.py and prm_model.py",
        is_automatic=True,
    ),
    "trl": Dialect(
        kind="prm",
        architectures=("*ForTokenClassification",),
        hub_names=("trl-lib/Qwen2-0.5B-Reward-Math-Sheperd",),
        form="BOS if there is one, problem; steps and newlines tokenized separately",
        read_at="newline after each step",
        make_renderer=partial(_trl, separator="\n"),
        readout="softmax",
        range="0 to 1",
        threshold=0.5,
        aggregator="min",
        source="TRL 1.13.0, trl/experimental/prm/prm_trainer.py, tokenize_row",
        labels=2,
        is_automatic=True,
    ),
    "h4": Dialect(
        kind="prm",
        architectures=("Qwen2ForTokenClassification",),
        hub_names=(
            "HuggingFaceH4/Qwen2.5-Math-1.5B-Instruct-PRM-0.2",
            "HuggingFaceH4/Qwen2.5-Math-7B-Instruct-PRM-0.2",
        ),
        form="as trl, with blank lines instead of newlines",
        read_at="blank line after each step",
        make_renderer=partial(_trl, separator="\n\n"),
        readout="softmax",
        range="0 to 1",
        threshold=0.5,
        aggregator="min",
        source="huggingface/search-and-learn, recipes/training/Qwen2.5-Math-7B-Instruct-PRM",
        labels=2,
    ),
    "pure": Dialect(
        kind="prm",
        architectures=("Qwen2ForTokenClassification",),
        hub_names=("jinachris/PURE-PRM-7B",),
        form="problem; steps and newlines tokenized separately",
        read_at="newline after each step",
        make_renderer=_pure,
        readout="difference",
        range="-1 to 1",
        threshold=0.0,
        aggregator="min",
        source="card of jinachris/PURE-PRM-7B",
        labels=2,
    ),
    "openr": Dialect(
        kind="prm",
        architectures=("Qwen2ForCausalLM",),
        hub_names=("openreasoner/Math-psa",),
        form="problem, space, `Step 1: …`, space and five newlines, space, `Step 2: …`, …",
        read_at="token of space and five newlines",
        make_renderer=partial(_plain, marker=" \n\n\n\n\n", joint=" "),
        readout="softmax",
        range="0 to 1",
        threshold=0.5,
        aggregator="min",
        source="openreasoner/openr, prm/infer_fns.py and prm/code/test_qwen.py",
        mark=Mark(" \n\n\n\n\n", 76325),
        answers=(Mark(" -", 481), Mark(" +", 488)),
        companion="Qwen/Qwen2.5-Math-7B-Instruct",
    ),
    "implicit": Dialect(
        kind="prm",
        architectures=("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM"),
        hub_names=("PRIME-RL/EurusPRM-Stage1", "PRIME-RL/EurusPRM-Stage2"),
        form="chat; the assistant's turn is `Step 1: …`, `Step 2: …` with blank lines between",
        read_at="all tokens of the solution, summed up to the blank line after each step or the end of the turn",
        make_renderer=_implicit,
        readout="sum",
        range="any",
        threshold=None,
        aggregator="last",
        source="card of PRIME-RL/EurusPRM-Stage2; arXiv 2412.01981, proposition 3.1",
        companion="Qwen/Qwen2.5-Math-7B-Instruct",
        needs_reference=True,
        has_chat=True,
    ),
    "outcome": Dialect(
        kind="orm",
        architectures=("*ForSequenceClassification",),
        hub_names=("Skywork/Skywork-Reward-Llama-3.1-8B-v0.2",),
        form="chat: user turn with the problem, assistant turn with the solution",
        read_at="last token",
        make_renderer=partial(_outcome, system=None),
        readout="reward",
        range="any",
        threshold=None,
        aggregator=None,
        source="card of Skywork/Skywork-Reward-Llama-3.1-8B-v0.2",
        labels=1,
        is_automatic=True,
        has_chat=True,
    ),
    "qwen-outcome": Dialect(
        kind="orm",
        architectures=("Qwen2ForRewardModel",),
        hub_names=("Qwen/Qwen2.5-Math-RM-72B",),
        form="chat with system prompt: user turn with the problem, assistant turn with the solution",
        read_at="last token",
        make_renderer=partial(_outcome, system=SYSTEM),
        readout="reward",
        range="any",
        threshold=None,
        aggregator=None,
        source="card of Qwen/Qwen2.5-Math-RM-72B",
        is_automatic=True,
        has_chat=True,
    ),
}
"""Dialects by name."""


def choose_dialect(name: str, architecture: str, labels: int, wanted: str | None = None) -> str:
    """Choose a model's dialect: the one wanted, else that of a known Hub name, else that of its architecture.

    Args:
        name: directory or Hub name of the model.
        architecture: its architecture in config.json.
        labels: its number of classes in config.json.
        wanted: a name in `DIALECTS`, or None to choose.

    Raises:
        ModelError: the dialect is unknown, the architecture does not fit it, or several dialects fit.
    """
    if wanted is not None and wanted not in DIALECTS:
        raise ModelError(f"unknown dialect {wanted!r}", f"choose from {', '.join(DIALECTS)}")
    known = [key for key, dialect in DIALECTS.items() if name in dialect.hub_names]
    chosen = [wanted] if wanted else known
    if chosen:
        _require_fit(name, chosen[0], architecture, labels)
        return chosen[0]
    fitting = [key for key, dialect in DIALECTS.items() if _fits(dialect, architecture, labels)]
    automatic = [key for key in fitting if DIALECTS[key].is_automatic]
    if automatic:
        return automatic[0]
    if fitting:
        raise ModelError(
            f"{name}: several dialects read a {architecture}", f"give dialect=, one of: {', '.join(fitting)}"
        )
    raise ModelError(
        f"{name}: no dialect reads a {architecture} with {labels} labels", f"known dialects: {', '.join(DIALECTS)}"
    )


def _fits(dialect: Dialect, architecture: str, labels: int) -> bool:
    return any(fnmatchcase(architecture, pattern) for pattern in dialect.architectures) and (
        dialect.labels in (None, labels)
    )


def _require_fit(name: str, key: str, architecture: str, labels: int) -> None:
    dialect = DIALECTS[key]
    if _fits(dialect, architecture, labels):
        return
    count = "" if dialect.labels is None else f" with {dialect.labels} label(s), not {labels}"
    raise ModelError(
        f"{name}: is a {architecture}; the dialect {key!r} reads {' or '.join(dialect.architectures)}{count}",
        "omit dialect=, or give the one that the model was trained in",
    )


def companion_of(name: str) -> str | None:
    """The base or reference model of a known model on the Hub; None if unknown."""
    return next((d.companion for d in DIALECTS.values() if name in d.hub_names), None)


def mark_id(tokenizer: Any, mark: Mark, name: str, dialect: Dialect) -> int:
    """Id of a mark's token.

    Raises:
        ModelError: it is not a single token, or not the one that a known model's card states.
    """
    ids: Sequence[int] = tokenizer(mark.text, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise ModelError(f"{name}: its tokenizer splits {mark.text!r} into {len(ids)} tokens, not one", _TOKENIZER)
    if name in dialect.hub_names and ids[0] != mark.hub_id:
        raise ModelError(f"{name}: its tokenizer gives {mark.text!r} the id {ids[0]}, not {mark.hub_id}", _TOKENIZER)
    return ids[0]


def dialect_renderer(tokenizer: Any, name: str, dialect: Dialect, pad_id: int | None) -> StepRenderer:
    """Make the renderer of a model's dialect.

    Args:
        tokenizer: the model's tokenizer.
        name: directory or Hub name of the model.
        dialect: the model's dialect.
        pad_id: the model's padding token, if it has one.

    Raises:
        ModelError: the tokenizer lacks what the dialect needs.
    """
    if dialect.has_chat and not tokenizer.chat_template:
        raise ModelError(f"{name}: its tokenizer has no chat template", _TOKENIZER)
    if not tokenizer.is_fast:
        raise ModelError(f"{name}: its tokenizer gives no character offsets (it is not a fast one)", _TOKENIZER)
    mark = None if dialect.mark is None else mark_id(tokenizer, dialect.mark, name, dialect)
    return dialect.make_renderer(tokenizer, mark, pad_id)

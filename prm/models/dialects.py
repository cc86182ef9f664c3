r"""Public reward models: how each family is fed and read, in one table.

A family (here: a dialect) is chosen by the name given, by an exact name on the Hub, or by an architecture that only one
family has; never by a part of a name. Sources are the model cards and their authors' own scripts; `docs/scoring.md`
shows the table. Left out: ReasonEval, and critics that generate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
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
"""What the authors of Qwen2.5-Math tell its reward models."""
Maker = Callable[[Any, int | None, int | None], StepRenderer]
"""Of a tokenizer, the id of the dialect's mark and the model's own token for padding."""
BETA = 0.001
"""Scale of the implicit reward, as on the card of EurusPRM-Stage2."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A text that must be one token."""

    text: str
    """What the tokenizer is asked for."""
    hub_id: int
    """Its id, as the source states it; checked for the models of `Dialect.hub_names`."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the models of one family are fed and read."""

    kind: Literal["prm", "orm"]
    """Whether it scores steps or whole solutions."""
    architectures: tuple[str, ...]
    """What `architectures` of config.json must say; `*` stands for any beginning."""
    hub_names: tuple[str, ...]
    """Models on the Hub that are known to speak it."""
    form: str
    """How the input looks, for people."""
    read_at: str
    """Where it is read, for people."""
    make_renderer: Maker
    """Makes what feeds it."""
    readout: str
    """What becomes of the head's output: a name in `prm.scoring.scorer.READOUTS`."""
    range: str
    """In which the scores are."""
    threshold: float | None
    """Above which score a step is held to be right; None where the source gives none."""
    aggregator: str | None
    """How its authors make one score of a chain, or min where the source does not say; None for an outcome model."""
    source: str
    """Where all this is written down."""
    labels: int | None = None
    """How many classes a classifier must have."""
    mark: Mark | None = None
    """What stands where it is read, or right after."""
    answers: tuple[Mark, Mark] | None = None
    """A causal model's tokens for a wrong and a right step, which its head is cut down to."""
    companion: str | None = None
    """For `hub_names`: the model that belongs to it, under an adapter or as the reference."""
    needs_reference: bool = False
    """Whether a second model is read beside it."""
    has_chat: bool = False
    """Whether the tokenizer's chat template is used."""
    is_automatic: bool = False
    """Whether it is taken where nothing but the architecture is known."""


def _plain(marker: str, joint: str) -> Maker:
    def make(tokenizer: Any, mark: int | None, _: int | None) -> StepRenderer:
        lay_out = plain_marked(marker, joint)
        return TextRenderer(tokenizer, lay_out, _special(tokenizer, marker.strip(" ")), has_bos=True, expected=mark)

    return make


def _qwen(tokenizer: Any, mark: int | None, _: int | None) -> StepRenderer:
    return TextRenderer(tokenizer, chat_marked("<extra_0>", SYSTEM), _special(tokenizer, "<extra_0>"), expected=mark)


def _rlhflow(tokenizer: Any, mark: int | None, _: int | None) -> StepRenderer:
    return TextRenderer(tokenizer, chat_turns("+"), _special(tokenizer), expected=mark, is_before=True)


def _implicit(tokenizer: Any, _mark: int | None, _: int | None) -> StepRenderer:
    return TextRenderer(tokenizer, chat_spans("\n\n"), _special(tokenizer), reads_on=True)


def _skywork(tokenizer: Any, _mark: int | None, _: int | None) -> StepRenderer:
    if tokenizer.bos_token_id is None:
        raise ModelError("the tokenizer names no first token (bos_token), which this dialect begins with", _TOKENIZER)
    return PieceRenderer(tokenizer, _special(tokenizer), [tokenizer.bos_token_id], problem_end="\n", splits_lines=True)


def _trl(separator: str) -> Maker:
    def make(tokenizer: Any, _mark: int | None, _: int | None) -> StepRenderer:
        first = tokenizer.bos_token_id
        before = [] if first is None else [first]
        return PieceRenderer(tokenizer, _special(tokenizer), before, separator=separator)

    return make


def _pure(tokenizer: Any, _mark: int | None, _: int | None) -> StepRenderer:
    return PieceRenderer(tokenizer, _special(tokenizer), [])


def _outcome(system: str | None) -> Maker:
    def make(tokenizer: Any, _mark: int | None, pad_id: int | None) -> StepRenderer:
        return WholeRenderer(tokenizer, chat_whole(system), _special(tokenizer), pad_id)

    return make


def _special(tokenizer: Any, *more: str) -> tuple[str, ...]:
    """Texts that become special tokens wherever they stand."""
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
        make_renderer=_plain(" ки", "\n"),
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
        form="chat: the user says problem, space, step 1, then step 2, …; the assistant answers each with `+`",
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
        form="chat with system prompt; the assistant says all steps, `<extra_0>` after each",
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
        form="first token, problem, newline; each line of the solution and its newline tokenized apart",
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
        form="first token if there is one, problem; steps and newlines tokenized apart",
        read_at="newline after each step",
        make_renderer=_trl("\n"),
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
        form="as trl, with blank lines for newlines",
        read_at="blank line after each step",
        make_renderer=_trl("\n\n"),
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
        form="problem; steps and newlines tokenized apart",
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
        make_renderer=_plain(" \n\n\n\n\n", " "),
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
        form="chat; the assistant says `Step 1: …`, `Step 2: …` with blank lines between",
        read_at="all tokens of the solution, summed up to the blank line after each step, or the end of the turn",
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
        form="chat: the user says the problem, the assistant the solution",
        read_at="last token",
        make_renderer=_outcome(None),
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
        form="chat with system prompt: the user says the problem, the assistant the solution",
        read_at="last token",
        make_renderer=_outcome(SYSTEM),
        readout="reward",
        range="any",
        threshold=None,
        aggregator=None,
        source="card of Qwen/Qwen2.5-Math-RM-72B",
        is_automatic=True,
        has_chat=True,
    ),
}
"""Every dialect by its name."""


def choose_dialect(name: str, architecture: str, labels: int, wanted: str | None = None) -> str:
    """The dialect of a model: the one wanted, else that of a known name on the Hub, else of its architecture.

    Args:
        name: directory or name on the Hub.
        architecture: as in its config.json.
        labels: how many classes its config.json states.
        wanted: a name in `DIALECTS`, or None.

    Raises:
        ModelError: the architecture does not fit, or fits several; there is no such dialect.
    """
    if wanted is not None and wanted not in DIALECTS:
        raise ModelError(f"there is no dialect {wanted!r}", f"choose from {', '.join(DIALECTS)}")
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
            f"{name}: a {architecture} may be read in several ways", f"give dialect=, one of: {', '.join(fitting)}"
        )
    raise ModelError(
        f"{name}: no dialect reads a {architecture} with {labels} labels", f"there are: {', '.join(DIALECTS)}"
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
        "leave the dialect out, or give the one it was trained in",
    )


def companion_of(name: str) -> str | None:
    """The model that belongs to one on the Hub, if it is known."""
    return next((d.companion for d in DIALECTS.values() if name in d.hub_names), None)


def mark_id(tokenizer: Any, mark: Mark, name: str, dialect: Dialect) -> int:
    """The id of a mark.

    Raises:
        ModelError: it is not one token, or not the one that the card of a known model states.
    """
    ids: Sequence[int] = tokenizer(mark.text, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise ModelError(f"{name}: its tokenizer makes {len(ids)} tokens of {mark.text!r}, not one", _TOKENIZER)
    if name in dialect.hub_names and ids[0] != mark.hub_id:
        raise ModelError(f"{name}: its tokenizer gives {mark.text!r} the id {ids[0]}, not {mark.hub_id}", _TOKENIZER)
    return ids[0]


def dialect_renderer(tokenizer: Any, name: str, dialect: Dialect, pad_id: int | None) -> StepRenderer:
    """What turns problems and steps into the ids of this dialect.

    Args:
        tokenizer: the model's.
        name: of the model.
        dialect: which it speaks.
        pad_id: the model's own token for padding, if it has one.

    Raises:
        ModelError: the tokenizer lacks what the dialect needs.
    """
    if dialect.has_chat and not tokenizer.chat_template:
        raise ModelError(f"{name}: its tokenizer has no chat template", _TOKENIZER)
    if not tokenizer.is_fast:
        raise ModelError(f"{name}: its tokenizer does not know the characters of its tokens", _TOKENIZER)
    mark = None if dialect.mark is None else mark_id(tokenizer, dialect.mark, name, dialect)
    return dialect.make_renderer(tokenizer, mark, pad_id)

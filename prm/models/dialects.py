r"""The dialect of a reward model: how its input is written, where it is read, and what its outputs mean: all data.

Every built-in dialect (`prm.models.families`) and every one of your own is a `Dialect`, in Python or in a TOML or JSON
file with its fields:

    layout = "plain"
    problem_end = "\n"
    step_start = "Step {n}: "
    joint = "\n"
    marker = " [END]"
    answers = ["-", "+"]

`prm dialect check FILE --model M` renders an example with the read positions marked.
"""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, get_args

from prm.data.converting import converted
from prm.data.writing import write_json
from prm.errors import ModelError, RenderError, require_number
from prm.statistics.aggregation import AGGREGATORS

from .layouts import (
    NUMBER,
    PieceRenderer,
    StepRenderer,
    TextRenderer,
    WholeRenderer,
    chat_marked,
    chat_spans,
    chat_turns,
    chat_whole,
    plain_marked,
    plain_spans,
)
from .rendering import special_texts

Layout = Literal["plain", "chat", "turns", "spans", "pieces", "whole"]
"""How a problem and its steps become token ids; see `Dialect.layout`."""
ReadoutName = Literal["softmax", "difference", "sigmoid", "reward", "sum"]
"""How a head's outputs become a score; see `Dialect.readout`."""
LANGUAGE_MODELS = ("ForCausalLM", "LMHeadModel")
"""How the architectures of causal language models end."""
BETA = 0.001
"""Scale of an implicit reward where none is given: that on the card of EurusPRM-Stage2."""
DIALECT_FILE = "dialect.json"
"""In the directory of a model: how it is read."""
EXAMPLE = ("What is 2 + 3 + 4?", ("First, 2 + 3 = 5.", "Then 5 + 4 = 9. The answer is 9."))
"""A problem with steps, rendered to find and to show a dialect's marks."""


_USED_BY = {
    "system": ("chat", "turns", "spans", "whole"),
    "problem_start": ("plain", "pieces"),
    "problem_end": ("plain", "pieces", "turns"),
    "step_start": ("plain", "chat", "spans"),
    "joint": ("plain", "chat", "spans", "whole"),
    "marker": ("plain", "chat", "pieces"),
    "bos": ("pieces",),
    "reads_earlier": ("pieces",),
    "splits_lines": ("pieces",),
    "doubles_bos": ("whole",),
    "closing_token": ("whole",),
}
"""The layouts in which a field has an effect."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Input format and read-out of one family of models."""

    layout: Layout
    """`plain`: one text, problem and steps, after the tokenizer's BOS. `chat`: a chat whose assistant turn holds the
    steps. `turns`: one user turn for each step, answered by the assistant. `spans`: as `chat`, for a sum over a step's
    tokens. `pieces`: problem, steps and markers tokenized separately and joined as ids. `whole`: a chat, read at its
    last token, for an outcome model."""
    readout: ReadoutName = "softmax"
    """`softmax`: a probability among the outputs. `difference`: that of the second output minus that of the first.
    `sigmoid`: of the last output. `reward`: the last output as it is. `sum`: log-ratios of a policy and its reference,
    times `beta` and summed."""
    beta: float = BETA
    """Scale of a `sum`, above 0."""
    kind: Literal["prm", "orm"] = "prm"
    """Whether its models score steps or whole solutions."""
    system: str | None = None
    """System prompt of a chat, unless the problem brings its own; None for none."""
    problem_start: str = ""
    """Precedes the problem, in `plain` and `pieces`."""
    problem_end: str = ""
    """Follows the problem, in `plain` and `pieces`; in `turns`, it stands between the problem and the first step."""
    step_start: str = ""
    """Precedes each step that does not begin so; `{n}` is its number, from 1."""
    joint: str = ""
    """Stands between steps."""
    marker: str = ""
    """Follows each step, unless they are summed. In `plain` and `chat` it must be one token, with any space before it,
    and is read; in `pieces` its last token is read or, where it is empty, the last token of the step."""
    answers: tuple[str, str] | None = None
    """A causal language model's words for a wrong and a right step, whose logits are read at the marker; in `turns`, at
    the token before the assistant's answer, which is the second. Each must be one token: with a space before it, as it
    would stand in place of the marker; without, by itself."""
    answer_ids: tuple[int, ...] = ()
    """In place of `answers`: ids of the tokens whose logits are the outputs."""
    bos: Literal["if-any", "required", "none"] = "if-any"
    """Whether `pieces` begin with the tokenizer's BOS."""
    reads_earlier: bool = False
    """Whether `pieces` are read one token before that one."""
    splits_lines: bool = False
    """Whether in `pieces` each line of a step is a piece with its own marker; the last one is read."""
    doubles_bos: bool = False
    """Whether in `whole` the tokenizer puts its BOS before that of the chat template, as in some authors' scripts."""
    closing_token: str = ""
    """In `whole`: the field of config.json with the id of a token that follows the chat, and is read."""
    outputs: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Names of the scores that it can give, the usual one first, each with the weights of the head's outputs (of their
    probabilities, for `softmax`). Empty for one score: the second of two probabilities, or the last output."""
    range: str = ""
    """The range of the scores, for people; empty for the one that follows from `readout`."""
    threshold: float | None = None
    """Score above which a step counts as right; None where there is none."""
    aggregator: str | None = None
    """Its authors' aggregator of step scores; None where there is none."""
    architectures: tuple[str, ...] = ("*",)
    """Names allowed in `architectures` of config.json; `*` matches any prefix."""
    labels: int | None = None
    """Number of classes that a classifier must have; None for any."""
    ids: Mapping[str, int] = field(default_factory=dict)
    """Ids that the marker and the answers must have; for a built-in dialect, in the models of `hub_names`."""
    hub_names: tuple[str, ...] = ()
    """Models on the Hub known to use it."""
    companion: str | None = None
    """For `hub_names`: the base model of an adapter, or the reference model. In a model's own dialect file, its
    reference: a name on the Hub, or the way to a directory from the model's own."""
    is_automatic: bool = False
    """Whether it is assumed for its architecture."""
    form: str = ""
    """The input format, for people."""
    read_at: str = ""
    """The read position, for people."""
    source: str = ""
    """Where all this is documented."""

    def __post_init__(self) -> None:
        for name, choices in (("layout", get_args(Layout)), ("readout", get_args(ReadoutName))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}")
        if self.aggregator is not None and self.aggregator not in AGGREGATORS:
            raise ValueError(f"aggregator must be one of {', '.join(AGGREGATORS)}, not {self.aggregator!r}")
        self._check_layout()
        if not 0 < self.beta < float("inf"):
            raise ValueError(f"beta must be a number above 0, not {self.beta!r}")
        if self.beta != BETA and not self.needs_reference:
            raise ValueError(f"beta has no effect with the readout {self.readout!r}; omit it")
        if self.outputs and self.readout in ("difference", "sum"):
            raise ValueError(f"outputs have no effect with the readout {self.readout!r}; omit them")
        if not all(self.outputs.values()):
            raise ValueError("outputs must have weights for each name")
        count = len(self.answer_ids) or (2 if self.answers else self.labels)
        least = outputs_read(self.readout, self.outputs.values())
        if count is not None and count < least:
            raise ValueError(
                f"it reads {least} outputs, but its models have {count}: see answers, answer_ids and labels"
            )
        if count not in (None, 2) and self._reads_two:
            raise ValueError(f"its models have {count} outputs: say which ones make the score, see outputs")

    def save(self, directory: Path) -> None:
        """Write `DIALECT_FILE`, by which the model in this directory is read."""
        write_json(directory / DIALECT_FILE, asdict(self))

    @property
    def scores(self) -> str:
        """The range of the scores, for people."""
        usual = {"softmax": "0 to 1", "sigmoid": "0 to 1", "difference": "-1 to 1"}
        return self.range or usual.get(self.readout, "any")

    def _check_layout(self) -> None:
        """Refuse fields that the layout needs and does not have, or has and does not read."""
        if (self.layout == "whole") != (self.kind == "orm"):
            raise ValueError("the layout 'whole' is that of outcome models (kind = \"orm\"), and only theirs")
        if self.layout == "spans" and not self.needs_reference:
            raise ValueError("the layout 'spans' goes with the readout 'sum', and only with it")
        if self.needs_reference and self.layout not in ("spans", "plain"):
            raise ValueError("the readout 'sum' goes with the layout 'spans' or 'plain', and only with them")
        if self.needs_reference and self.marker:
            raise ValueError("marker has no effect with the readout 'sum'; omit it")
        marks = self.layout in ("plain", "chat") and not self.needs_reference
        if (marks or self.splits_lines) and not self.marker:
            raise ValueError(f"the layout {self.layout!r} needs a marker{' with splits_lines' * self.splits_lines}")
        if self.layout == "turns" and self.answers is None:
            raise ValueError("the layout 'turns' needs answers")
        if unknown := [place for place in re.findall(r"\{\w+\}", self.step_start) if place != NUMBER]:
            raise ValueError(f"step_start has {unknown[0]}, but only {NUMBER} is replaced, by the number of the step")
        for name, layouts in _USED_BY.items():
            if getattr(self, name) not in ("", None, False, "if-any") and self.layout not in layouts:
                raise ValueError(f"{name} has no effect in the layout {self.layout!r}; omit it")

    @property
    def has_chat(self) -> bool:
        """Whether it uses the tokenizer's chat template."""
        return self.layout not in ("plain", "pieces")

    @property
    def needs_reference(self) -> bool:
        """Whether scores need a reference model too."""
        return self.readout == "sum"

    @property
    def is_causal(self) -> bool:
        """Whether it reads the logits of a language model, not the classes of a classifier."""
        return self.labels is None and (self.answers is not None or bool(self.answer_ids) or self.needs_reference)

    @property
    def _reads_two(self) -> bool:
        """Whether a head must have two outputs, and no more: nothing says what others would mean."""
        return self.readout in ("softmax", "difference") and not self.outputs

    def misfit(self, architecture: str, labels: int) -> str | None:
        """What of a model does not fit, in words; None if all does.

        Args:
            architecture: of its config.json.
            labels: number of classes in its config.json.
        """
        if not any(fnmatchcase(architecture, pattern) for pattern in self.architectures):
            return f"a {architecture}, but the dialect reads {' or '.join(self.architectures)}"
        is_classifier = architecture.endswith("Classification")
        if self.is_causal and is_classifier:
            return f"a {architecture}, but the dialect reads logits of tokens (answers, answer_ids)"
        if not self.is_causal and architecture.endswith(LANGUAGE_MODELS):
            return f"a {architecture}, which has no head, but the dialect names no answers"
        exactly = self.labels
        if exactly is None and is_classifier and self._reads_two:
            exactly = 2
        least = outputs_read(self.readout, self.outputs.values()) if is_classifier else 0
        if exactly not in (None, labels) or labels < least:
            return f"a model with {labels} label(s), but the dialect reads {exactly or least}"
        return None

    def weights(self, output: OutputChoice | None) -> tuple[float, ...] | None:
        """Weights of the head's outputs for this score; None for the usual score. Raises as `weights_of`."""
        return next(iter(self.outputs.values()), None) if output is None else weights_of(self.outputs, output)


OutputChoice = str | Mapping[str, float]
"""One of the scores that a model can give: its name, or a weight for each of several; as text, `a=0.6,b=-0.1`."""


def weights_of(outputs: Mapping[str, Sequence[float]], output: OutputChoice) -> tuple[float, ...]:
    """Weights of a head's outputs for a score.

    Args:
        outputs: of the scores that the model can give, by name.
        output: the score.

    >>> weights_of({"helpfulness": (1.0,), "verbosity": (0.0, 1.0)}, "helpfulness=0.5,verbosity=-0.25")
    (0.5, -0.25)

    Raises:
        ModelError: the model has no such score, or the text is no mix.
        InputError: a weight is not a finite number.
    """
    mix = _mix(output) if isinstance(output, str) else output
    if not isinstance(mix, Mapping) or not mix:
        raise ModelError(f"output={output!r} names no score", "give a name, or a weight for each of several")
    if unknown := next((name for name in mix if name not in outputs), None):
        named = ", ".join(outputs) or "one score, without a name"
        raise ModelError(f"no output {unknown!r}", f"this model has: {named}")
    for name, weight in mix.items():
        require_number(f"output[{name!r}]", weight, "(-inf, inf)")
    columns = zip_longest(*([weight * one for one in outputs[name]] for name, weight in mix.items()), fillvalue=0.0)
    return tuple(map(math.fsum, columns))


def _mix(text: str) -> dict[str, float]:
    """A weight for each name in a text."""
    if "=" not in text:
        return {text: 1.0}
    parts = [part.rpartition("=") for part in text.split(",")]
    try:
        found = {name.strip(): float(weight) for name, _, weight in parts}
    except ValueError:
        found = {}
    if len(found) < len(parts):
        raise ModelError(f"output {text!r} is no mix of scores", "give one name, or NAME=WEIGHT,NAME=WEIGHT")
    return found


def outputs_read(readout: str, weights: Iterable[Sequence[float]]) -> int:
    """How many outputs a head must have, at least, for a read-out with these weights of its scores.

    >>> outputs_read("softmax", []), outputs_read("reward", [(0.0, 0.0, 1.0)])
    (2, 3)
    """
    return max(2 if readout in ("softmax", "difference") else 1, *map(len, weights), 0)


def read_dialect(path: str | os.PathLike[str]) -> Dialect:
    """The dialect in a TOML or JSON file.

    Raises:
        ModelError: the file cannot be read, or a field is unknown or has a wrong value.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        row = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        if not isinstance(row, dict):
            raise ValueError("it is not an object")
        names = [f.name for f in fields(Dialect)]
        if unknown := sorted(row.keys() - set(names)):
            raise ValueError(f"unknown field {unknown[0]!r}; the fields are {', '.join(names)}")
        return converted(row, Dialect)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}", "give a dialect's name or file") from error
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path}: is not a dialect: {error}", "see docs/scoring.md") from error


def make_renderer(tokenizer: Any, name: str, dialect: Dialect, config: Any = None) -> StepRenderer:
    """Make the renderer of a model's dialect, and try it on an example.

    Args:
        tokenizer: the model's tokenizer.
        name: directory or Hub name of the model.
        dialect: the model's dialect.
        config: the model's configuration, which names its padding token and that of `closing_token`; None for neither.

    Raises:
        ModelError: the tokenizer or the configuration lacks what the dialect needs, or a mark is not the token that it
            must be.
    """
    if dialect.has_chat and not tokenizer.chat_template:
        raise ModelError(f"{name}: its tokenizer has no chat template", _TOKENIZER)
    if not tokenizer.is_fast:
        raise ModelError(f"{name}: its tokenizer gives no character offsets (it is not a fast one)", _TOKENIZER)
    if dialect.layout == "pieces":
        return _pieces(tokenizer, name, dialect)
    if dialect.layout == "whole":
        return _whole(tokenizer, name, dialect, config)
    if dialect.layout == "spans":
        spans = partial(chat_spans, system=dialect.system, start=dialect.step_start, joint=dialect.joint)
        return TextRenderer(tokenizer, spans, _special(tokenizer), reads_on=True)
    if dialect.needs_reference:
        plain = partial(plain_spans, **_plain(dialect))
        return TextRenderer(tokenizer, plain, _special(tokenizer), has_bos=True)
    mark = dialect.answers[1] if dialect.layout == "turns" and dialect.answers else dialect.marker
    return _text(tokenizer, dialect, mark, mark_id(tokenizer, name, dialect, mark))


def _pieces(tokenizer: Any, name: str, dialect: Dialect) -> StepRenderer:
    first = None if dialect.bos == "none" else tokenizer.bos_token_id
    if dialect.bos == "required" and first is None:
        raise ModelError(f"{name}: its tokenizer has no bos_token, which starts this dialect's input", _TOKENIZER)
    return PieceRenderer(
        tokenizer,
        _special(tokenizer),
        [] if first is None else [first],
        separator=dialect.marker,
        problem_start=dialect.problem_start,
        problem_end=dialect.problem_end,
        reads_earlier=dialect.reads_earlier,
        splits_lines=dialect.splits_lines,
    )


def _whole(tokenizer: Any, name: str, dialect: Dialect, config: Any) -> StepRenderer:
    text = config and config.get_text_config()
    closing = getattr(text, dialect.closing_token, None) if dialect.closing_token else None
    if dialect.closing_token and not isinstance(closing, int):
        raise ModelError(f"{name}: its config.json has no {dialect.closing_token}, a token's id", _CONFIG)
    lay_out = partial(chat_whole, system=dialect.system, joint=dialect.joint or "\n")
    return WholeRenderer(
        tokenizer,
        lay_out,
        _special(tokenizer),
        getattr(text, "pad_token_id", None),
        has_bos=dialect.doubles_bos,
        after=[] if closing is None else [closing],
    )


def _text(tokenizer: Any, dialect: Dialect, mark: str, expected: int | None) -> TextRenderer:
    """The renderer of a layout that is tokenized as one text, with this mark."""
    settings: dict[str, Any] = {"start": dialect.step_start, "joint": dialect.joint, "marker": mark}
    if dialect.layout == "turns":
        lay_out = partial(chat_turns, answer=mark, joint=dialect.problem_end, system=dialect.system)
        return TextRenderer(tokenizer, lay_out, _special(tokenizer), expected=expected, is_before=True)
    forbidden = _special(tokenizer, dialect.marker.strip(" "))
    if dialect.layout == "chat":
        chat = partial(chat_marked, system=dialect.system, **settings)
        return TextRenderer(tokenizer, chat, forbidden, expected=expected)
    plain = partial(plain_marked, **_plain(dialect), marker=mark)
    return TextRenderer(tokenizer, plain, forbidden, has_bos=True, expected=expected)


def _plain(dialect: Dialect) -> dict[str, str]:
    """What stands around problem and steps in a plain text."""
    names = {"start": "step_start"} | {name: name for name in ("problem_start", "problem_end", "joint")}
    return {name: getattr(dialect, own) for name, own in names.items()}


def mark_id(tokenizer: Any, name: str, dialect: Dialect, mark: str) -> int:
    """Id of the token that a mark is where it stands in the input: a tokenizer may read it otherwise elsewhere.

    Args:
        tokenizer: the model's tokenizer.
        name: directory or Hub name of the model.
        dialect: the model's dialect.
        mark: the marker, or a word that stands in its place.

    Raises:
        ModelError: it is not a single token, or not the one that the dialect states.
    """
    renderer = _text(tokenizer, dialect, mark, None)
    try:
        places, text = renderer.render(*EXAMPLE).step_ends, renderer.lay_out(tokenizer, *EXAMPLE).text
    except RenderError as error:
        raise ModelError(f"{name}: cannot be fed in this dialect: {error}", _TOKENIZER) from error
    ids = list(tokenizer(text, add_special_tokens=renderer.has_bos)["input_ids"])
    found = {int(ids[place + renderer.is_before]) for place in places}
    is_mark = tokenizer.decode(list(found)).strip(" ") == mark.strip(" ")
    return _stated(name, dialect, mark, found if is_mark else set())


def _stated(name: str, dialect: Dialect, mark: str, found: Set[int]) -> int:
    """The one id that was found for a mark, if it is the one that the dialect states."""
    if len(found) != 1:
        raise ModelError(
            f"{name}: its tokenizer makes no single token of {mark!r} where it stands",
            f"{_TOKENIZER}, or mend the marker or the answers of the dialect",
        )
    wanted = dialect.ids.get(mark.strip(" ")) if name in dialect.hub_names or not dialect.hub_names else None
    if wanted is not None and found != {wanted}:
        raise ModelError(f"{name}: its tokenizer gives {mark!r} the id {min(found)}, not {wanted}", _TOKENIZER)
    return min(found)


def answer_ids(tokenizer: Any, name: str, dialect: Dialect) -> Sequence[int]:
    """Ids of the tokens whose logits a causal language model is read by; raises as `mark_id`."""
    if dialect.answers is None:
        return dialect.answer_ids
    ids = {True: mark_id, False: _word_id}
    return [ids[answer.startswith(" ")](tokenizer, name, dialect, answer) for answer in dialect.answers]


def _word_id(tokenizer: Any, name: str, dialect: Dialect, word: str) -> int:
    """Id of a word by itself, without a space before it."""
    ids = list(tokenizer(word, add_special_tokens=False)["input_ids"])
    return _stated(name, dialect, word, set(ids) if tokenizer.decode(ids) == word else set())


def with_system(dialect: Dialect, system: str | None) -> Dialect:
    """The dialect with another system prompt; "" for none.

    Raises:
        ModelError: it has no chat.
    """
    if system is None:
        return dialect
    if not dialect.has_chat:
        raise ModelError(f"a {dialect.layout} layout takes no system prompt", "omit system")
    return replace(dialect, system=system or None)


def _special(tokenizer: Any, *more: str) -> tuple[str, ...]:
    """Texts that the tokenizer always turns into special tokens, and `more`."""
    return (*more, *special_texts(tokenizer))


_CONFIG = "load the model with its own config.json"
_TOKENIZER = "load the tokenizer that belongs to the model"

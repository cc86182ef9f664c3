"""From (problem, steps) to the token ids that a public reward model was trained on, and the positions where it is read.

There are two ways. Either the whole text is tokenized once with character offsets, as the model's authors do, and read
positions are found by these offsets, never by searching for ids; or pieces are tokenized separately and joined as ids.
Text that spells a special token or the family's marker is refused: it would add or shift positions.

Each renderer has the methods of `prm.models.rendering.Renderer`. `Rendered.step_ends` holds the read positions, and the
ids end with the last of them: these models are causal, so nothing after it matters. Renderers can be pickled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol

from prm.data.records import Asked, texts_of
from prm.errors import RenderError

from .rendering import BatchRenderer, Rendered


@dataclass(frozen=True, slots=True)
class Layout:
    """A text and the character offsets that matter."""

    text: str
    """The whole text, including any chat markup."""
    start: int
    """Offset of the solution."""
    ends: tuple[int, ...]
    """For each step, the offset where its read token ends; rising."""


Layouter = Callable[[Any, Asked, Sequence[str]], Layout]
"""``(tokenizer, problem, steps)`` → layout. A function with further settings becomes one by `functools.partial`."""
NUMBER = "{n}"
"""In the start of a step: its number, from 1."""


class StepRenderer(Protocol):
    """Turns problems and steps into token ids."""

    tokenizer: Any

    def render(self, problem: Asked, steps: Sequence[str]) -> Rendered:
        """Render one chain: its ids and read positions."""

    def render_many(
        self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]
    ) -> Sequence[Rendered | RenderError]:
        """Render many chains, in order; a chain that cannot be rendered yields its error."""


def start_steps(steps: Sequence[str], start: str) -> list[str]:
    r"""Put `start` before each step, without the blanks around it, unless it begins so, with whatever number.

    >>> start_steps(["3 + 4 = 7.\n", "Step 2: So 7."], "Step {n}: ")
    ['Step 1: 3 + 4 = 7.', 'Step 2: So 7.']
    """
    begun = re.compile(r"\d+".join(re.escape(part) for part in start.strip().split(NUMBER)))
    numbered = enumerate(_strip(steps), start=1)
    return [s if not start.strip() or begun.match(s) else start.replace(NUMBER, str(n)) + s for n, s in numbered]


def _strip(steps: Sequence[str]) -> list[str]:
    return [step.strip() for step in steps]


def plain_marked(
    _: Any,
    problem: Asked,
    steps: Sequence[str],
    *,
    problem_start: str,
    problem_end: str,
    start: str,
    joint: str,
    marker: str,
) -> Layout:
    """The problem between its two ends, and the steps, with `start` before, `marker` after each and `joint` between."""
    return _marked(problem_start + _text_of(problem) + problem_end, start_steps(steps, start), marker, joint)


def plain_spans(
    _: Any, problem: Asked, steps: Sequence[str], *, problem_start: str, problem_end: str, start: str, joint: str
) -> Layout:
    """The problem between its two ends, and steps with `joint` between them; a step ends with the joint after it."""
    return _spanned(problem_start + _text_of(problem) + problem_end, start_steps(steps, start), joint)


def chat_marked(
    tokenizer: Any, problem: Asked, steps: Sequence[str], *, system: str | None, start: str, joint: str, marker: str
) -> Layout:
    """A chat whose assistant turn holds all steps, with `marker` after each."""
    marked = _marked("", start_steps(steps, start), marker, joint)
    whole = _chat(tokenizer, problem, marked.text, system)
    return Layout(whole.text, whole.start, tuple(whole.start + end for end in marked.ends))


def chat_turns(
    tokenizer: Any, problem: Asked, steps: Sequence[str], *, answer: str, joint: str, system: str | None
) -> Layout:
    """A chat with a user turn per step, the problem and `joint` before the first, and the assistant's `answer` to each.

    The token before each answer is read.
    """
    first, *later = _strip(steps) or [""]
    *before, asked = _turns(problem, system)
    asks = [{**asked, "content": (asked["content"] + joint + first).strip()}, *map(_user, later)]
    turns = [*before, *(turn for ask in asks for turn in (ask, {"role": "assistant", "content": answer}))]
    text = _apply(tokenizer, turns)
    ends = []
    for number in range(1, len(steps) + 1):
        shown = _apply(tokenizer, turns[: len(before) + 2 * number - 1], is_open=True)
        _require_shown(text, shown + answer)
        ends.append(len(shown))
    return Layout(text, ends[0] if ends else len(text), tuple(ends))


def chat_spans(
    tokenizer: Any, problem: Asked, steps: Sequence[str], *, system: str | None, start: str, joint: str
) -> Layout:
    """A chat whose assistant turn holds all steps with `joint` between them; a step ends with the joint after it."""
    spanned = _spanned("", start_steps(steps, start), joint)
    whole = _chat(tokenizer, problem, spanned.text, system)
    return Layout(whole.text, whole.start, tuple(whole.start + end for end in spanned.ends))


def chat_whole(tokenizer: Any, problem: Asked, steps: Sequence[str], *, system: str | None, joint: str) -> Layout:
    """A chat whose assistant turn is the solution, read at its end; `joint` follows a step without a blank at its end.

    As the template has it: some put an empty thought before the solution, or leave a thought out.
    """
    solution = "".join(s if s[-1:].isspace() else s + joint for s in steps).strip()
    text = _apply(tokenizer, [*_turns(problem, system), {"role": "assistant", "content": solution}])
    return Layout(text, 0, (len(text),))


def _marked(before: str, steps: Sequence[str], marker: str, joint: str) -> Layout:
    text, ends = before, []
    for number, step in enumerate(steps):
        text += (joint if number else "") + step + marker
        ends.append(len(text))
    return Layout(text, len(before), tuple(ends))


def _spanned(before: str, steps: Sequence[str], joint: str) -> Layout:
    ends = list(accumulate((len(step + joint) for step in steps), initial=len(before)))[1:]
    return Layout(before + joint.join(steps), len(before), (*ends[:-1], *(end - len(joint) for end in ends[-1:])))


def _text_of(problem: Asked) -> str:
    """The text of a problem, for a layout without a chat template."""
    if isinstance(problem, str):
        return problem.strip()
    raise RenderError("the problem is given as messages", "give a text", reason="messages without a chat template")


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _turns(problem: Asked, system: str | None = None) -> list[dict[str, str]]:
    """The chat turns that pose a problem, after the system prompt or their own; the last is the user's."""
    if isinstance(problem, str):
        asked = [_user(problem.strip())]
    elif not problem or problem[-1].role != "user":
        raise RenderError(
            "the last message is not the user's", "end with the question", reason="messages without a question"
        )
    else:
        asked = [{"role": message.role, "content": message.content} for message in problem]
    if system is not None and asked[0]["role"] != "system":
        asked.insert(0, {"role": "system", "content": system})
    return asked


def _chat(tokenizer: Any, problem: Asked, solution: str, system: str | None) -> Layout:
    """A chat, and where the solution begins: after what the template puts before it, such as an empty thought."""
    asked = _turns(problem, system)
    text, probe = (_apply(tokenizer, [*asked, {"role": "assistant", "content": said}]) for said in (solution, _PROBE))
    after = len(probe) - probe.rfind(_PROBE) - len(_PROBE)
    start = len(text) - after - len(solution)
    if text[start : start + len(solution)] != solution:
        raise RenderError(_CHANGES, _OTHER_TOKENIZER)
    return Layout(text, start, ())


def _apply(tokenizer: Any, messages: Sequence[dict[str, str]], *, is_open: bool = False) -> str:
    from jinja2 import TemplateError

    try:
        text: str = tokenizer.apply_chat_template(messages, add_generation_prompt=is_open, tokenize=False)
    except TemplateError as error:
        raise RenderError(f"the chat template refuses the messages: {error}", "drop the chain") from error
    return text


def _require_shown(text: str, beginning: str) -> None:
    if not text.startswith(beginning):
        raise RenderError(_CHANGES, _OTHER_TOKENIZER)


_PROBE = "-0-"
"""A solution, to find what a chat template puts after one."""
_CHANGES = "the chat template changes the text of a message"
_OTHER_TOKENIZER = "load the tokenizer that belongs to the model"


class TextRenderer(BatchRenderer):
    """Tokenizes the whole text once and finds the read positions by character offset.

    Args:
        tokenizer: a fast tokenizer, which gives the character offsets of its tokens.
        lay_out: see `Layouter`.
        forbidden: texts that no problem or step may contain.
        has_bos: whether the tokenizer adds its special tokens; a chat template writes them itself.
        expected: id that the read token must have; None for any.
        is_before: whether the token after the read one must have it instead.
        reads_on: whether the last step is read one token later, at the end of the turn.
    """

    def __init__(
        self,
        tokenizer: Any,
        lay_out: Layouter,
        forbidden: Collection[str],
        *,
        has_bos: bool = False,
        expected: int | None = None,
        is_before: bool = False,
        reads_on: bool = False,
    ) -> None:
        self.tokenizer = tokenizer
        self.lay_out = lay_out
        self.forbidden = forbidden
        self.has_bos = has_bos
        self.expected = expected
        self.is_before = is_before
        self.reads_on = reads_on

    def render_many(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Rendered | RenderError]:
        """See `StepRenderer.render_many`."""
        layouts = [self._lay_out(p, s) for p, s in zip(problems, chains, strict=True)]
        texts = [x.text for x in layouts if isinstance(x, Layout)]
        if not texts:
            return [x for x in layouts if isinstance(x, RenderError)]
        found = self.tokenizer(texts, add_special_tokens=self.has_bos, return_offsets_mapping=True)
        rows = zip(found["input_ids"], found["offset_mapping"], strict=True)
        return [x if isinstance(x, RenderError) else self._read(x, *next(rows)) for x in layouts]

    def _lay_out(self, problem: Asked, steps: Sequence[str]) -> Layout | RenderError:
        try:
            _require_plain(problem, steps, self.forbidden)
            return self.lay_out(self.tokenizer, problem, steps)
        except RenderError as error:
            return error

    def _read(self, layout: Layout, ids: Sequence[int], offsets: Sequence[tuple[int, int]]) -> Rendered | RenderError:
        token_ends = [end for _, end in offsets]
        last = {end: place for place, end in enumerate(token_ends)}
        places = [last.get(end, -1) for end in layout.ends]
        if self.reads_on and places:
            places[-1] += 1
        for number, place in enumerate(places, start=1):
            checked = place + self.is_before
            if place < 0 or (self.expected is not None and ids[checked : checked + 1] != [self.expected]):
                return RenderError(f"the mark of step {number} is not a token of its own", "drop the chain")
        prompt_length = next((i for i, end in enumerate(token_ends) if end > layout.start), len(token_ends))
        return Rendered(tuple(ids[: places[-1] + 1 if places else prompt_length]), tuple(places), prompt_length)


class WholeRenderer(BatchRenderer):
    """Writes a problem and its solution as a chat that is read at its last token: for outcome reward models.

    Args:
        tokenizer: a tokenizer with a chat template.
        lay_out: see `Layouter`.
        forbidden: texts that no problem or step may contain.
        pad_id: the model's padding token, if it has one. Like transformers, we read the last token that is not padding.
        has_bos: whether the tokenizer adds its special tokens, besides those that the chat template writes.
        after: ids after the chat.
    """

    def __init__(
        self,
        tokenizer: Any,
        lay_out: Layouter,
        forbidden: Collection[str],
        pad_id: int | None,
        *,
        has_bos: bool = False,
        after: Sequence[int] = (),
    ) -> None:
        self.tokenizer = tokenizer
        self.lay_out = lay_out
        self.forbidden = forbidden
        self.pad_id = pad_id
        self.has_bos = has_bos
        self.after = tuple(after)

    def render_many(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Rendered | RenderError]:
        """See `StepRenderer.render_many`."""
        texts = [self._text(p, s) for p, s in zip(problems, chains, strict=True)]
        usable = [t for t in texts if isinstance(t, str)]
        rows = iter(_tokenized(self.tokenizer, usable, has_bos=self.has_bos))
        return [text if isinstance(text, RenderError) else self._read([*next(rows), *self.after]) for text in texts]

    def _text(self, problem: Asked, steps: Sequence[str]) -> str | RenderError:
        try:
            _require_plain(problem, steps, self.forbidden)
            return self.lay_out(self.tokenizer, problem, steps).text
        except RenderError as error:
            return error

    def _read(self, ids: Sequence[int]) -> Rendered:
        length = len(ids)
        while ids[length - 1] == self.pad_id:
            length -= 1
        return Rendered(tuple(ids[:length]), (length - 1,), 0)


class PieceRenderer(BatchRenderer):
    r"""Tokenizes the problem and each step separately and joins the ids; reads the last token of each separator.

    Without a separator, it reads the last token of each step.

    Args:
        tokenizer: any tokenizer.
        forbidden: texts that no problem or step may contain.
        before: ids before the problem.
        separator: ends each step, in place of its own trailing whitespace.
        problem_start: put before the problem.
        problem_end: appended to the problem before it is tokenized.
        reads_earlier: whether it reads the token before that one.
        splits_lines: whether each line of a step is a piece with its own separator. Only a step's last line is read.
    """

    def __init__(
        self,
        tokenizer: Any,
        forbidden: Collection[str],
        before: Sequence[int],
        *,
        separator: str = "\n",
        problem_start: str = "",
        problem_end: str = "",
        reads_earlier: bool = False,
        splits_lines: bool = False,
    ) -> None:
        self.tokenizer = tokenizer
        self.forbidden = forbidden
        self.before = tuple(before)
        self.problem_start = problem_start
        self.problem_end = problem_end
        self.reads_earlier = reads_earlier
        self.splits_lines = splits_lines
        self.separator = _tokenized(tokenizer, [separator])[0] if separator else []

    def render_many(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Rendered | RenderError]:
        """See `StepRenderer.render_many`. The tokenizer sees each distinct piece once."""
        split = [self._split(p, s) for p, s in zip(problems, chains, strict=True)]
        usable = [item for item in split if not isinstance(item, RenderError)]
        distinct = list({text for problem, steps in usable for text in (problem, *(p for s in steps for p in s))})
        ids = dict(zip(distinct, _tokenized(self.tokenizer, distinct), strict=True))
        return [item if isinstance(item, RenderError) else self._join(ids, *item) for item in split]

    def _split(self, problem: Asked, steps: Sequence[str]) -> tuple[str, list[list[str]]] | RenderError:
        try:
            _require_plain(problem, steps, self.forbidden)
            text = _text_of(problem)
        except RenderError as error:
            return error
        pieces = [step.rstrip().split("\n") if self.splits_lines else [step.rstrip()] for step in steps]
        return self.problem_start + text + self.problem_end, pieces

    def _join(self, ids: dict[str, list[int]], problem: str, steps: Sequence[Sequence[str]]) -> Rendered:
        joined = [*self.before, *ids[problem]]
        prompt_length, ends = len(joined), []
        for pieces in steps:
            joined += [i for piece in pieces for i in (*ids[piece], *self.separator)]
            ends.append(len(joined) - 1 - self.reads_earlier)
        return Rendered(tuple(joined[: ends[-1] + 1] if ends else joined), tuple(ends), prompt_length)


def _tokenized(tokenizer: Any, texts: Sequence[str], *, has_bos: bool = False) -> list[list[int]]:
    return list(tokenizer(list(texts), add_special_tokens=has_bos)["input_ids"]) if texts else []


def _require_plain(problem: Asked, steps: Sequence[str], forbidden: Collection[str]) -> None:
    asked = "\n".join(texts_of(problem))
    for number, text in enumerate((asked, *steps)):
        where = f"step {number}" if number else "the problem"
        if number and not text.strip():
            raise RenderError(f"{where} is blank: {text!r}", "drop blank steps", reason="blank step")
        for mark in forbidden:
            if mark in text:
                raise RenderError(
                    f"{where} contains {mark!r}, which is a marker for this model",
                    "drop the chain",
                    reason="marker in the text",
                )

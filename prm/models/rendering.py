"""From (problem, steps) to token ids and the position of each step's end: the one place where text becomes ids.

`Renderer`, for heads that are read at steps: steps are tokenized one by one and joined as ids. So a separator can never
merge with its neighbors, a step's ids never depend on what follows it, and the end of each step is known by
construction rather than searched for. A new renderer checks that the joined pieces still spell the text: the space that
some tokenizers put before every piece is removed, and a tokenizer whose pieces cannot be joined is refused.

`SolutionRenderer`, for a head that is read at the end: problem and solution are one text, byte for byte the user's, and
a chat ends as its template ends a turn.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from prm.data.preferences import TAG
from prm.data.records import Asked, Message
from prm.errors import InputError, RenderError

_ANCHOR = "\n"
_BLANK = "\v"
"""Put around a placeholder, shows whether the chat template trims a message. No template writes one itself."""
_PLACEHOLDER = re.compile(rf"({_BLANK}?)MESSAGE-(\d+)-GOES-HERE({_BLANK}?)")


_Part = str | list[int]
"""A part of a prompt: text yet to be tokenized, or ids."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Token ids of a problem with steps."""

    ids: tuple[int, ...]
    """Prompt and steps."""
    step_ends: tuple[int, ...]
    """Index in `ids` of the last token of each step, rising."""
    prompt_length: int
    """Number of ids before the first step."""


PLACE = "{problem}"
"""Where the problem goes in a prompt."""
SOLUTION = "{solution}"
"""Where the solution goes in a template, if it says so: at its end."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """How a problem is put to a model: what stands around it."""

    text: str = f"{PLACE}\n"
    """Without a chat template: everything before the solution."""
    messages: tuple[Message, ...] = (Message("user", PLACE),)
    """In a chat: the turns before the solution. Messages take the place of the turn with the place; what stands around
    it then stands around the last message of the user."""
    template_options: Mapping[str, Any] = field(default_factory=dict)
    """Variables of the chat template."""
    prefix: str = ""
    """The beginning of the solution, as the model finds it."""

    def plain(self, problem: str) -> str:
        """Everything before the solution, without a chat template."""
        return self.text.replace(PLACE, problem.rstrip("\n")) + self.prefix

    def turns(self, problem: str | tuple[Message, ...]) -> tuple[Message, ...]:
        """The turns of a chat; raises RenderError if no message of a conversation can hold the prompt."""
        found: list[Message] = []
        for message in self.messages:
            if PLACE not in message.content:
                found.append(message)
            elif isinstance(problem, str):
                found.append(_holding(message.content, Message(message.role, problem)))
            else:
                found += problem if message.content == PLACE else _asked_last(message.content, problem)
        return tuple(found)


def _holding(text: str, message: Message) -> Message:
    """The message with `text` around it."""
    return Message(message.role, text.replace(PLACE, message.content))


def _asked_last(text: str, messages: tuple[Message, ...]) -> list[Message]:
    """The messages, with `text` around the last one of the user."""
    last = max((i for i, message in enumerate(messages) if message.role == "user"), default=None)
    if last is None:
        raise RenderError(
            "there is no message of the user for the prompt to hold", "drop it", reason="messages without a question"
        )
    return [*messages[:last], _holding(text, messages[last]), *messages[last + 1 :]]


def require_template(template: str, *, chat: bool) -> None:
    """Refuse a template that does not say where the problem goes.

    Args:
        template: an instruction with {problem} in it, and perhaps {solution} at its end.
        chat: whether it is the user's turn of a chat.

    Raises:
        InputError: {problem} is missing or occurs twice, or {solution} is not at the end or in a chat.
    """
    if (count := template.count(PLACE)) != 1:
        raise InputError(f"the template has {PLACE} {count} times", "write it once, where the problem goes")
    if SOLUTION in template.removesuffix(SOLUTION):
        raise InputError(
            f"the template has {SOLUTION}, but does not end with it", f"put {SOLUTION} last, or leave it out"
        )
    if chat and SOLUTION in template:
        raise InputError("the solution is the assistant's turn of a chat", f"leave {SOLUTION} out of the template")


def prompt_of(template: str | None) -> Prompt:
    """The prompt that a template spells, see `require_template`; None for the problem alone."""
    if template is None:
        return Prompt()
    text = template.removesuffix(SOLUTION)
    return Prompt(text, (Message("user", text),))


_TAIL = 16
"""Tokens before a text with which it is spelled: some tokenizers write a first token differently."""


def spelled(tokenizer: Any, ids: Sequence[int], before: Sequence[int] = ()) -> str:
    """The text of generated tokens as it stands after the tokens `before` them, without special tokens."""
    options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    tail, text = list[int](), ""
    for length in range(_TAIL, _TAIL + 4) if before else ():  # a character may have four tokens
        tail = list(before[-length:])
        text = tokenizer.decode(tail, **options)
        if not text.startswith("\ufffd"):
            break
    whole: str = tokenizer.decode([*tail, *ids], **options)
    return whole[len(text) :]


class BatchRenderer(ABC):
    """A renderer whose `render` follows from its `render_many`."""

    def render(self, problem: Asked, steps: Sequence[str]) -> Rendered:
        """Token ids of the problem and its steps, and where they are read.

        Raises:
            RenderError: the chain cannot be rendered; `render_many` says why.
        """
        (rendered,) = self.render_many([problem], [steps])
        if isinstance(rendered, RenderError):
            raise rendered
        return rendered

    @abstractmethod
    def render_many(
        self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]
    ) -> Sequence[Rendered | RenderError]:
        """Render many chains, in order; a chain that cannot be rendered yields its error."""


class Renderer(BatchRenderer):
    r"""Turns problems and steps into token ids.

    A problem is a text or, in a chat, the messages of a conversation. The ids of a conversation are those of the
    tokenizer's `apply_chat_template`, trimmed messages included. They differ in three cases: a message contains the
    text of a special token, which stays text here; a token would run across the end of a message; the tokenizer puts a
    space before a message that follows a special token.

    Args:
        tokenizer: any Hugging Face tokenizer.
        separator: ends each step, the last one too, in place of its own trailing whitespace, so that all scores are
            read at the same token. None keeps the steps as they are (for continuing a text).
        chat: True puts the problem into the tokenizer's chat template as the user's turn, or its messages as turns,
            and the steps into the assistant's turn; False writes the problem, a newline, the steps.
        prompt: what else stands around the problem.

    Raises:
        RenderError: separately tokenized pieces would not spell the text, or there is no chat template.
    """

    def __init__(
        self, tokenizer: Any, *, separator: str | None = "\n", chat: bool = False, prompt: Prompt | None = None
    ) -> None:
        if chat and not tokenizer.chat_template:
            raise RenderError("this tokenizer has no chat template", "use chat=False")
        if separator == "":
            raise RenderError("the step separator is empty", r"use None to keep steps as they are, or '\n'")
        self.tokenizer = tokenizer
        self.separator = separator
        self.chat = chat
        self.prompt = prompt or Prompt()
        self._frames: dict[tuple[str, str], list[int]] = {}
        if self._spell("a", _ANCHOR, "b 1", _ANCHOR) != f"a{_ANCHOR}b 1{_ANCHOR}":
            raise RenderError(
                "this tokenizer does not spell a text that is tokenized in pieces", "use another tokenizer"
            )

    def render_many(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Rendered | RenderError]:
        """Render many chains with one call of the tokenizer, which sees each distinct piece once.

        Args:
            problems: problem of each chain.
            chains: steps of each chain.

        Returns:
            For each chain, in order, the result of `render`, or the error that `render` would raise, so that the caller
            can drop that chain alone: a step has no token; the chat template refuses, hides or changes a message; or
            the problem is a conversation and `chat` is False.
        """
        contexts = [problem if isinstance(problem, str) else tuple(problem) for problem in problems]
        prompts = {context: self._prompt(context) for context in dict.fromkeys(contexts)}
        ids = self._ids_by_text(
            [part for parts in prompts.values() if isinstance(parts, list) for part in parts if isinstance(part, str)]
            + [self._step_text(step) for steps in chains for step in steps]
        )
        return [self._joined(prompts[context], steps, ids) for context, steps in zip(contexts, chains, strict=True)]

    def prompt_ids(self, problem: Asked) -> list[int]:
        """Token ids before the first step; raises as `render`."""
        return list(self.render(problem, ()).ids)

    def _joined(
        self, prompt: list[_Part] | RenderError, steps: Sequence[str], ids_by_text: Mapping[str, list[int]]
    ) -> Rendered | RenderError:
        if isinstance(prompt, RenderError):
            return prompt
        ids = [i for part in prompt for i in (ids_by_text[part] if isinstance(part, str) else part)]
        ends, prompt_length = list[int](), len(ids)
        for number, step in enumerate(steps, start=1):
            text = self._step_text(step)
            piece = ids_by_text[text] + self._separator_ids if text else []
            if not piece:
                return RenderError(f"step {number} has no token: {step!r}", "drop blank steps", reason="blank step")
            ids += piece
            ends.append(len(ids) - 1)
        return Rendered(tuple(ids), tuple(ends), prompt_length)

    def _step_text(self, step: str) -> str:
        return step if self.separator is None else step.rstrip()

    def _prompt(self, context: str | tuple[Message, ...]) -> list[_Part] | RenderError:
        """The prompt: everything before the first step."""
        if not self.chat:
            return _plain(self._first_ids, context, self.prompt)
        try:
            parts = self._chat_prompt(self.prompt.turns(context))
            return [*parts, self.prompt.prefix] if self.prompt.prefix else parts
        except RenderError as error:
            return error

    def _chat_prompt(self, messages: Sequence[Message]) -> list[_Part]:
        """The messages in the chat template's frame, the only part that may contain special tokens.

        The frame is extracted anew each time: some templates write today's date.
        """
        marks = [Message(m.role, f"{_BLANK}MESSAGE-{i}-GOES-HERE{_BLANK}") for i, m in enumerate(messages)]
        pieces = _PLACEHOLDER.split(self._templated(marks))
        frame, lefts, numbers, rights = (pieces[i::4] for i in range(4))
        if numbers != [str(i) for i in range(len(messages))]:
            raise RenderError("the chat template does not show every message once and in order", "use chat=False")
        contents = [_trimmed(m.content, left, right) for m, left, right in zip(messages, lefts, rights, strict=True)]
        between = list(zip(contents, frame[1:], strict=True))
        if "".join([frame[0], *(text for pair in between for text in pair)]) != self._templated(messages):
            raise RenderError("the chat template changes the text of a message", "drop the problem, or use chat=False")
        return self._chat_parts(frame[0], between)

    def _chat_parts(self, first: str, between: Sequence[tuple[str, str]]) -> list[_Part]:
        """Ids for the frame, texts for the contents.

        A space in the frame before a message is moved to the message: most tokenizers make it part of the next word.
        """
        before, anchor, parts = first, "", list[_Part]()
        for content, after in between:
            frame = before.rstrip(" ")
            parts += [self._frame_ids(frame, anchor), before[len(frame) :] + content]
            before, anchor = after, self._anchor
        return [*parts, self._frame_ids(before, anchor)]

    def _templated(self, messages: Sequence[Message]) -> str:
        return _templated(self.tokenizer, messages, self.prompt, is_open=True)

    def _frame_ids(self, text: str, anchor: str) -> list[int]:
        if (text, anchor) not in self._frames:
            (self._frames[text, anchor],) = self._tokenized([text], anchor, split_special_tokens=False)
        return self._frames[text, anchor]

    @cached_property
    def _separator_ids(self) -> list[int]:
        return self._piece_ids(self.separator or "")

    @cached_property
    def _first_ids(self) -> list[int]:
        return _first_ids(self.tokenizer)

    def _ids_by_text(self, texts: Iterable[str]) -> dict[str, list[int]]:
        """Ids of pieces. Text never becomes a special token: a chain cannot end itself or open another turn."""
        distinct = list(dict.fromkeys(texts))
        return dict(zip(distinct, self._tokenized(distinct, self._anchor, split_special_tokens=True), strict=True))

    def _piece_ids(self, text: str) -> list[int]:
        return self._ids_by_text([text])[text]

    def _tokenized(self, texts: Sequence[str], anchor: str, *, split_special_tokens: bool) -> list[list[int]]:
        """Ids of texts, each tokenized after `anchor`, whose own ids are then removed."""
        anchored = [anchor + text for text in [*texts, ""]]
        found = _bare_ids(self.tokenizer, anchored, split_special_tokens=split_special_tokens)
        length = len(found.pop())
        return [ids[length:] for ids in found] if length else found

    @cached_property
    def _anchor(self) -> str:
        """Text put before a piece for tokenization, so that the tokenizer adds no space to the piece."""
        pieces = self._tokenized(["a", "b"], "", split_special_tokens=True)
        return "" if self._decode([i for ids in pieces for i in ids]) == "ab" else _ANCHOR

    def _spell(self, *pieces: str) -> str:
        return self._decode([i for piece in pieces for i in self._piece_ids(piece)])

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
        return text.lstrip(" ")


class SolutionRenderer(BatchRenderer):
    r"""Turns a problem and its whole solution into token ids that are read at the last one: for an outcome head.

    Steps are joined as they were split: a line end follows one that does not end in a blank, but for the last. In a
    chat the ids are those of the tokenizer's `apply_chat_template` for the whole conversation, so the last one is what
    the template writes after a turn. Otherwise they are those of problem and solution as one text, with a line end
    between the two unless the problem ends in one or in "\n\nAssistant:" (HH-RLHF); where the prompt has a text of its
    own, that alone stands around the problem.

    Args:
        tokenizer: any Hugging Face tokenizer.
        chat: whether problem and solution are turns of the tokenizer's chat template.
        prompt: what else stands around the problem.

    Raises:
        RenderError: there is no chat template.
    """

    def __init__(self, tokenizer: Any, *, chat: bool = False, prompt: Prompt | None = None) -> None:
        if chat and not tokenizer.chat_template:
            raise RenderError("this tokenizer has no chat template", "use chat=False")
        self.tokenizer = tokenizer
        self.chat = chat
        self.prompt = prompt or Prompt()

    def render_many(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Rendered | RenderError]:
        """See `BatchRenderer.render_many`. The one step end is the last token.

        A chain is refused that has no step, or a blank one; if the chat template refuses the messages, or one of them
        contains a special token; or if the problem is a conversation and `chat` is False.
        """
        texts = [self._texts(problem, steps) for problem, steps in zip(problems, chains, strict=True)]
        distinct = dict.fromkeys(text for both in texts if isinstance(both, tuple) for text in both)
        ids = dict(zip(distinct, self._tokenized([*distinct]), strict=True))
        return [both if isinstance(both, RenderError) else _read_last(*(ids[text] for text in both)) for both in texts]

    def _texts(self, problem: Asked, steps: Sequence[str]) -> tuple[str, str] | RenderError:
        """All before the solution, and the whole text."""
        try:
            solution = _joined_as_split(steps)
            if not self.chat:
                before = self._before(problem)
                return before, before + solution
            return self._chat_texts(problem, solution)
        except RenderError as error:
            return error

    def _before(self, problem: Asked) -> str:
        if not isinstance(problem, str):
            raise _without_chat()
        if self.prompt.text == Prompt().text:
            return problem if problem.endswith(("\n", TAG)) else f"{problem}\n"
        return self.prompt.text.replace(PLACE, problem)

    def _chat_texts(self, problem: Asked, solution: str) -> tuple[str, str]:
        turns = self.prompt.turns(problem if isinstance(problem, str) else tuple(problem))
        for where, text in (*(("the problem", turn.content) for turn in turns), ("the solution", solution)):
            for mark in self._special:
                if mark in text:
                    raise RenderError(
                        f"{where} contains {mark!r}, a special token", "drop the chain", reason="marker in the text"
                    )
        whole = (*turns, Message("assistant", solution))
        return (
            _templated(self.tokenizer, turns, self.prompt, is_open=True),
            _templated(self.tokenizer, whole, self.prompt, is_open=False),
        )

    def _tokenized(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        first = [] if self.chat else _first_ids(self.tokenizer)
        return [[*first, *ids] for ids in _bare_ids(self.tokenizer, texts, split_special_tokens=not self.chat)]

    @cached_property
    def _special(self) -> list[str]:
        return special_texts(self.tokenizer)


def special_texts(tokenizer: Any) -> list[str]:
    """Texts that a tokenizer always turns into special tokens."""
    return [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]


def _joined_as_split(steps: Sequence[str]) -> str:
    if not steps:
        raise RenderError("there is no step", "drop empty chains", reason="empty chain")
    for number, step in enumerate(steps, start=1):
        if not step.strip():
            raise RenderError(f"step {number} is blank: {step!r}", "drop blank steps", reason="blank step")
    *before, last = steps
    return "".join(step if step[-1:].isspace() else f"{step}\n" for step in before) + last


def _read_last(before: Sequence[int], ids: Sequence[int]) -> Rendered:
    """The ids, read at the last one; the prompt is what they share with `before`."""
    shared = next((i for i, (a, b) in enumerate(zip(before, ids, strict=False)) if a != b), min(len(before), len(ids)))
    return Rendered(tuple(ids), (len(ids) - 1,), shared)


def _bare_ids(tokenizer: Any, texts: list[str], *, split_special_tokens: bool) -> list[list[int]]:
    """Ids of texts, without any around them.

    After the first text, the tokenizers library is called directly: what transformers makes of its output, most of it
    of no use here, takes as long again.
    """
    options = {"add_special_tokens": False, "split_special_tokens": split_special_tokens}
    if not tokenizer.is_fast:
        return [list(ids) for ids in tokenizer(texts, **options)["input_ids"]]
    first = tokenizer(texts[:1], **options)["input_ids"]  # this sets the library's tokenizer to these options
    rest = tokenizer.backend_tokenizer.encode_batch_fast(texts[1:], add_special_tokens=False)
    return [*first, *(encoding.ids for encoding in rest)]


def _first_ids(tokenizer: Any) -> list[int]:
    """The token that the tokenizer puts before every text, if any."""
    return [int(i) for i in tokenizer("a")["input_ids"][:1] if i == tokenizer.bos_token_id]


def _templated(tokenizer: Any, messages: Sequence[Message], prompt: Prompt, *, is_open: bool) -> str:
    """A conversation as the chat template writes it; `is_open`: up to the answer that follows."""
    from jinja2 import TemplateError

    turns = [{"role": message.role, "content": message.content} for message in messages]
    try:
        text: str = tokenizer.apply_chat_template(
            turns, add_generation_prompt=is_open, tokenize=False, **prompt.template_options
        )
    except (TemplateError, TypeError, ValueError) as error:  # the latter two: an option that it does not take
        raise RenderError(f"the chat template refuses the messages: {error}", "drop the problem") from error
    return text


def _plain(first: list[int], context: str | tuple[Message, ...], prompt: Prompt) -> list[_Part] | RenderError:
    """The prompt without a chat template."""
    if isinstance(context, str):
        return [first, prompt.plain(context)]
    return _without_chat()


def _without_chat() -> RenderError:
    return RenderError(
        "the problem is given as messages", "use chat=True, or give a text", reason="messages without a chat template"
    )


def _trimmed(content: str, left: str, right: str) -> str:
    """A message's content, stripped on each side where the chat template strips it."""
    content = content if left else content.lstrip()
    return content if right else content.rstrip()

"""From (problem, steps) to token ids and the position of each step's end: the one place where text becomes ids.

Steps are tokenized one by one and joined as ids. So a separator can never merge with its neighbors, a step's ids
never depend on what follows it, and the end of each step is known by construction rather than searched for. A new
renderer checks that the joined pieces still spell the text: the space that some tokenizers put before every piece is
removed, and a tokenizer whose pieces cannot be joined is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from prm.data.records import Asked, Message
from prm.errors import RenderError

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


@dataclass(frozen=True, slots=True)
class Prompt:
    """How a problem is put to a model: what stands around it."""

    text: str = f"{PLACE}\n"
    """Without a chat template: everything before the solution."""
    messages: tuple[Message, ...] = (Message("user", PLACE),)
    """In a chat: the turns before the solution. The turn with the place is replaced by a problem given as messages."""
    template_options: Mapping[str, Any] = field(default_factory=dict)
    """Variables of the chat template."""
    prefix: str = ""
    """The beginning of the solution, as the model finds it."""

    def plain(self, problem: str) -> str:
        """Everything before the solution, without a chat template."""
        return self.text.replace(PLACE, problem.rstrip("\n")) + self.prefix

    def turns(self, problem: str | tuple[Message, ...]) -> tuple[Message, ...]:
        """The turns of a chat."""
        found: list[Message] = []
        for message in self.messages:
            if PLACE in message.content and not isinstance(problem, str):
                found += problem
            elif isinstance(problem, str):
                found.append(Message(message.role, message.content.replace(PLACE, problem)))
            else:
                found.append(message)
        return tuple(found)


class Renderer:
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

    def render(self, problem: Asked, steps: Sequence[str]) -> Rendered:
        """Token ids of the problem and all steps, and where each step ends.

        Raises:
            RenderError: a step has no token; the chat template refuses, hides or changes a message; or the problem is
                a conversation and `chat` is False.
        """
        (rendered,) = self.render_many([problem], [steps])
        if isinstance(rendered, RenderError):
            raise rendered
        return rendered

    def render_many(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Rendered | RenderError]:
        """Render many chains with one call of the tokenizer, which sees each distinct piece once.

        Args:
            problems: problem of each chain.
            chains: steps of each chain.

        Returns:
            For each chain, in order, the result of `render`, or the error that `render` would raise, so that the caller
            can drop that chain alone.
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
        from jinja2 import TemplateError

        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            text: str = self.tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, tokenize=False, **self.prompt.template_options
            )
        except (TemplateError, TypeError, ValueError) as error:  # the latter two: an option that it does not take
            raise RenderError(f"the chat template refuses the messages: {error}", "drop the problem") from error
        return text

    def _frame_ids(self, text: str, anchor: str) -> list[int]:
        if (text, anchor) not in self._frames:
            (self._frames[text, anchor],) = self._tokenized([text], anchor, split_special_tokens=False)
        return self._frames[text, anchor]

    @cached_property
    def _separator_ids(self) -> list[int]:
        return self._piece_ids(self.separator or "")

    @cached_property
    def _first_ids(self) -> list[int]:
        """The token that the tokenizer puts before every text, if any."""
        first = self.tokenizer("a")["input_ids"][:1]
        return [int(i) for i in first if i == self.tokenizer.bos_token_id]

    def _ids_by_text(self, texts: Iterable[str]) -> dict[str, list[int]]:
        """Ids of pieces. Text never becomes a special token: a chain cannot end itself or open another turn."""
        distinct = list(dict.fromkeys(texts))
        return dict(zip(distinct, self._tokenized(distinct, self._anchor, split_special_tokens=True), strict=True))

    def _piece_ids(self, text: str) -> list[int]:
        return self._ids_by_text([text])[text]

    def _tokenized(self, texts: Sequence[str], anchor: str, *, split_special_tokens: bool) -> list[list[int]]:
        """Ids of texts, each tokenized after `anchor`, whose own ids are then removed."""
        found = self.tokenizer(
            [anchor + text for text in [*texts, ""]],
            add_special_tokens=False,
            split_special_tokens=split_special_tokens,
            return_attention_mask=False,
        )["input_ids"]
        length = len(found.pop())
        return [list(ids[length:]) for ids in found]

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


def _plain(first: list[int], context: str | tuple[Message, ...], prompt: Prompt) -> list[_Part] | RenderError:
    """The prompt without a chat template."""
    if isinstance(context, str):
        return [first, prompt.plain(context)]
    return RenderError(
        "the problem is given as messages", "use chat=True, or give a text", reason="messages without a chat template"
    )


def _trimmed(content: str, left: str, right: str) -> str:
    """A message's content, stripped on each side where the chat template strips it."""
    content = content if left else content.lstrip()
    return content if right else content.rstrip()

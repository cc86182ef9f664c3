"""From (problem, steps) to token ids and the position of each step's end: the one place where text becomes ids.

Steps are tokenised one by one and joined as ids. So a separator can never merge with its neighbours, a step's ids
never depend on what follows it, and the end of each step is known by construction rather than searched for. That the
pieces still spell the text is checked when a renderer is made: some tokenizers put a space before every piece, which
is taken off again, and one that cannot be joined at all is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from prm.errors import RenderError

_ANCHOR = "\n"
_PLACEHOLDER = "PROBLEM-GOES-HERE"


@dataclass(frozen=True, slots=True)
class Rendered:
    """Token ids of a problem with steps."""

    ids: tuple[int, ...]
    """Prompt and steps."""
    step_ends: tuple[int, ...]
    """Index in `ids` of the last token of each step, rising; as many as there are steps."""
    prompt_length: int
    """How many of the ids stand before the first step."""


class Renderer:
    r"""Turns problems and steps into token ids.

    Args:
        tokenizer: any Hugging Face tokenizer.
        separator: what ends each step in place of its own trailing whitespace, so that all scores are read at the
            same token, also after the last step. None keeps the steps as they are (for continuing a text).
        chat: True puts the problem into the tokenizer's chat template as the user's turn and the steps into the
            assistant's; False writes the problem, a newline, the steps.

    Raises:
        RenderError: pieces tokenised apart would not spell the text, or there is no chat template.
    """

    def __init__(self, tokenizer: Any, *, separator: str | None = "\n", chat: bool = False) -> None:
        if chat and not tokenizer.chat_template:
            raise RenderError("this tokenizer has no chat template", "leave --chat out")
        if separator == "":
            raise RenderError("the step separator is empty", r"use None to keep steps as they are, or '\n'")
        self.tokenizer = tokenizer
        self.separator = separator
        self.chat = chat
        if self._spell("a", _ANCHOR, "b 1", _ANCHOR) != f"a{_ANCHOR}b 1{_ANCHOR}":
            raise RenderError(
                "this tokenizer does not spell a text that is tokenised in pieces", "use another tokenizer"
            )

    def render(self, problem: str, steps: Sequence[str]) -> Rendered:
        """Token ids of the problem and all steps, and where each step ends.

        Raises:
            RenderError: a step has no token of its own.
        """
        ids = list(self.prompt_ids(problem))
        ends, prompt_length = list[int](), len(ids)
        for number, step in enumerate(steps, start=1):
            piece = self._step_ids(step)
            if not piece:
                raise RenderError(f"step {number} has no token: {step!r}", "drop blank steps")
            ids += piece
            ends.append(len(ids) - 1)
        return Rendered(tuple(ids), tuple(ends), prompt_length)

    def prompt_ids(self, problem: str) -> list[int]:
        """Token ids of what stands before the first step."""
        if not self.chat:
            return self._first_ids + self._piece_ids(problem.rstrip("\n") + "\n")
        before, after = self._chat_frame
        return [*before, *self._piece_ids(problem), *after]

    @cached_property
    def _chat_frame(self) -> tuple[list[int], list[int]]:
        """Ids of the chat template before and after the problem; only these may hold special tokens."""
        text = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": _PLACEHOLDER}], add_generation_prompt=True, tokenize=False
        )
        parts = text.split(_PLACEHOLDER)
        if len(parts) != 2:
            raise RenderError("the chat template does not show the user's text once", "leave --chat out")
        before, after = (list(self.tokenizer(part, add_special_tokens=False)["input_ids"]) for part in parts)
        return before, after

    def _step_ids(self, step: str) -> list[int]:
        if self.separator is None:
            return self._piece_ids(step)
        text = step.rstrip()
        return self._piece_ids(text) + self._separator_ids if text else []

    @cached_property
    def _separator_ids(self) -> list[int]:
        return self._piece_ids(self.separator or "")

    @cached_property
    def _first_ids(self) -> list[int]:
        """The token that the tokenizer puts before every text, if any."""
        first = self.tokenizer("a")["input_ids"][:1]
        return [int(i) for i in first if i == self.tokenizer.bos_token_id]

    def _piece_ids(self, text: str) -> list[int]:
        """Ids of one piece. Text never becomes a special token: a chain cannot end itself or open another turn."""
        if not self._prepends_space:
            return self._plain_ids(text)
        ids = self._plain_ids(_ANCHOR + text)
        return ids[len(self._anchor_ids) :]

    def _plain_ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    @cached_property
    def _anchor_ids(self) -> list[int]:
        return self._plain_ids(_ANCHOR)

    @cached_property
    def _prepends_space(self) -> bool:
        pieces = self._plain_ids("a") + self._plain_ids("b")
        return bool(self._decode(pieces) != "ab")

    def _spell(self, *pieces: str) -> str:
        return self._decode([i for piece in pieces for i in self._piece_ids(piece)])

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
        return text.lstrip(" ")

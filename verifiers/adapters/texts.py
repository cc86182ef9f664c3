"""What several adapters need: texts out of what tools pass, and words and numbers about a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from ..rewards import RuleReward
from ..verdict import Verdict

Completion = str | Sequence[Mapping[str, Any]]
"""A text, or the messages of a conversation, the last of which is the completion."""


def completion_text(completion: Completion) -> str:
    """The text of a completion; for a conversation, of its last message ("" if that only calls a tool).

    Raises:
        TypeError: the completion is neither a text nor messages with text.
    """
    if isinstance(completion, str):
        return completion
    content: Any = completion[-1].get("content") if completion else None
    if isinstance(content, list):  # content blocks, as multimodal models have them
        return "".join(block.get("text") or "" for block in content)
    if content is None or isinstance(content, str):
        return content or ""
    raise TypeError(
        f"a completion must be a text, or messages with text, but its content is a {type(content).__name__}"
    )


def gold_text(gold: Any) -> str:
    """A gold answer as text; in some data sets it is a number."""
    if isinstance(gold, bool) or not isinstance(gold, str | Real):
        raise TypeError(f"a gold answer must be a text or a number, not a {type(gold).__name__}")
    return str(gold)


def described(verdict: Verdict) -> str:
    """The outcome and its reason, in one line."""
    return f"{verdict.outcome}: {verdict.reason}"


def require_numbers(rule: RuleReward, tool: str) -> None:
    """Refuse a rule that would exclude a completion.

    Raises:
        ValueError: the tool needs a number for every completion, but the rule excludes some.
    """
    if rule.undecided is None or rule.no_answer is None:
        raise ValueError(f"{tool} needs a number for every completion: undecided and no_answer cannot be None")

"""What several adapters need: texts out of what tools pass, and words and numbers about a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from ..rewards import RuleReward
from ..verdict import Verdict

Completion = str | Sequence[Mapping[str, Any]] | None
"""A text; or the messages of a conversation, the last of which is the completion; or nothing."""


def completion_text(completion: Completion) -> str:
    """The text of a completion; for a conversation, of its last message.

    Anything without a text, such as a call of a tool, is "": a policy may write what it likes, and a reward must not
    end its training.
    """
    if isinstance(completion, str):
        return completion
    if not completion:
        return ""
    last = completion[-1]
    content = last.get("content") if isinstance(last, Mapping) else None
    if isinstance(content, list):  # content blocks, as multimodal models have them
        return "".join(_text(block.get("text")) if isinstance(block, Mapping) else _text(block) for block in content)
    return _text(content)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


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


def require_text(rule: RuleReward) -> None:
    """Refuse a rule that needs token ids.

    Raises:
        ValueError: a part is measured in tokens.
    """
    if rule.measured_in == "tokens" and {"overlong", "repetition"} & set(rule.weights):
        raise ValueError("the parts 'overlong' and 'repetition' need token ids, or measured_in='text'")

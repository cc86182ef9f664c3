"""The problem in a prompt that a policy's chat template wrote.

A tool that trains a policy sends the policy's own prompt, markup and all. A scorer writes the markup of its own chat
template around a problem, so that of the policy is taken off: in the forms below, and only there. Of a prompt without
such markup, all is the problem.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from prm.data.records import Asked, Message

MARKUPS = {
    "ChatML": r"<\|im_start\|>(?P<role>\w+)\n(?P<content>.*?)(?:<\|im_end\|>|\Z)",
    "Llama 3": r"<\|start_header_id\|>(?P<role>\w+)<\|end_header_id\|>\n\n(?P<content>.*?)(?:<\|eot_id\|>|\Z)",
    "Gemma": r"<start_of_turn>(?P<role>\w+)\n(?P<content>.*?)(?:<end_of_turn>|\Z)",
    "DeepSeek": r"<\uff5c(?P<role>User|Assistant)\uff5c>(?P<content>.*?)(?=<\uff5c(?:User|Assistant|end\u2581of)|\Z)",
    "Mistral": r"\[(?P<role>INST)\](?P<content>.*?)(?:\[/INST\]|\Z)",
}
"""By name, a pattern of one turn."""
_ROLES = {"User": "user", "INST": "user", "Assistant": "assistant", "model": "assistant"}
_ANSWER = "[/INST]"
"""What comes before an answer in a markup that does not mark the turns of the assistant."""


def turns_in(text: str) -> list[Message]:
    r"""The turns of a marked-up text, an empty last one too; none for a text without markup.

    >>> turns_in("<|im_start|>user\n3 + 4?<|im_end|>\n<|im_start|>assistant\n7")
    [Message(role='user', content='3 + 4?'), Message(role='assistant', content='7')]
    """
    for pattern in MARKUPS.values():
        found = [
            Message(_ROLES.get(match["role"], match["role"]), match["content"].strip())
            for match in re.finditer(pattern, text, re.DOTALL)
        ]
        if found:
            after = text.rpartition(_ANSWER)[2].strip() if _ANSWER in text else ""
            return [*found, Message("assistant", after)] if after else found
    return []


def problem_in(prompt: str | Sequence[Message]) -> Asked:
    """The problem that a prompt poses: the user's text or, of several exchanges, the messages.

    The system prompt is the policy's, and left out: a scorer has its own. So is what the prompt begins of the answer.
    """
    turns = turns_in(prompt) if isinstance(prompt, str) else list(prompt)
    while turns and turns[-1].role != "user":
        turns.pop()
    asked = [turn for turn in turns if turn.role != "system"]
    if not asked:
        return prompt if isinstance(prompt, str) else ""
    return asked[0].content if len(asked) == 1 else asked


def conversation_in(text: str) -> tuple[Asked, str] | None:
    """The problem and the last answer of a marked-up conversation; None for a text without markup, or without both."""
    turns = turns_in(text)
    if len(turns) < 2 or turns[-1].role != "assistant":
        return None
    return problem_in(turns[:-1]), turns[-1].content

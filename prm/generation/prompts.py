"""How problems are put to a model: a few worked examples before them, a system prompt, the chat template's options.

    asking("gsm8k-8shot")                            # a preset
    asking("examples.txt")                           # a text with {problem} in it
    asking("messages.json")                          # messages, one of them with {problem} in it
    asking({"system": "Think step by step.", "template_options": {"enable_thinking": False}})

The prompt is part of a job's settings, and apart from the problem: what is trained and scored later sees the problem
alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from prm.data.converting import converted
from prm.data.records import Message
from prm.errors import InputError
from prm.models.rendering import PLACE, Prompt

_QWEN = "Please reason step by step, and put your final answer within \\boxed{}."


@dataclass(frozen=True, slots=True)
class Asking:
    """A prompt, whether it goes into the model's chat template, and what ends a solution."""

    prompt: Prompt = field(default_factory=Prompt)
    chat: bool = False
    stop: tuple[str, ...] = ()
    """Texts that end a solution, besides those of the job: the beginning of the next example."""

    def recorded(self) -> dict[str, Any]:
        """The settings that record it; the prompt's is left out for the default, so that manifests keep their keys."""
        prompt = {} if self.prompt == Prompt() else {"prompt": asdict(self.prompt)}
        return {"chat": self.chat, **prompt}


@dataclass(frozen=True, slots=True)
class _Fields:
    """A prompt as a mapping; see `asking`."""

    base: str = ""
    messages: tuple[Message, ...] = ()
    system: str = ""
    template_options: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preset:
    """A prompt from a paper."""

    source: str
    stop: tuple[str, ...] = ()
    system: str = ""


PROMPTS: dict[str, Preset] = {
    "plain": Preset("the problem, a newline, the solution"),
    "gsm8k-8shot": Preset("Wei et al. 2022, arXiv 2201.11903, table 20", stop=("\nQ:",)),
    "math-4shot": Preset("Lewkowycz et al. 2022 (Minerva), arXiv 2206.14858, appendix D.2", stop=("\nProblem:",)),
    "qwen2.5-math": Preset("Yang et al. 2024, arXiv 2409.12122: its system prompt", system=_QWEN),
}
"""Name to preset; one without a system prompt is a text in `presets/`."""


def asking(prompt: str | Path | Mapping[str, Any] = "", *, chat: bool = False) -> Asking:
    """How problems are to be asked.

    Args:
        prompt: a name in `PROMPTS`; a file; or a mapping with some of these fields: `messages`, a list of
            {"role", "content"}, one of them with {problem} in it; `system`, the system prompt of a chat;
            `template_options`, variables of the chat template; `prefix`, the beginning of every solution, as the model
            finds it; `stop`, what ends a solution; `base`, a preset or a file to begin with. A file holds a text with
            {problem} in it, whose last newline does not count, or such an object as JSON, or its messages alone.
        chat: whether to use the model's chat template; messages always do.

    Raises:
        InputError: there is no such preset or file, it has no place for the problem, or a system prompt has no chat.
    """
    found = _of_fields("the prompt", prompt) if isinstance(prompt, Mapping) else _named(str(prompt))
    made = replace(found, chat=chat or found.chat)
    if not made.chat and (made.prompt.messages != Prompt().messages or made.prompt.template_options):
        raise InputError("a system prompt or an option of the chat template needs a chat", "use --chat (chat=True)")
    if made.chat and made.prompt.text != Prompt().text:
        raise InputError("the prompt is a text, not messages for a chat", "leave the chat out, or give messages")
    return made


def _named(name: str, *, is_base: bool = False) -> Asking:
    if not name:
        return Asking()
    if preset := PROMPTS.get(name):
        if preset.system:
            return _of_fields(name, {"system": preset.system})
        text = "" if name == "plain" else (files(__package__) / "presets" / f"{name}.txt").read_text(encoding="utf-8")
        return Asking(_of_text(name, text) if text else Prompt(), stop=preset.stop)
    try:
        text = Path(name).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError: it is not UTF-8, or no file can have this name
        close = get_close_matches(name, PROMPTS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"give a file, or one of {', '.join(PROMPTS)}"
        raise InputError(f"the prompt {name!r} is no preset, and cannot be read as a file: {error}", hint) from error
    return _of_json(name, text, is_base=is_base) if name.endswith(".json") else Asking(_of_text(name, text))


def _of_text(name: str, text: str) -> Prompt:
    if text.count(PLACE) != 1:
        raise InputError(
            f"{name}: has {PLACE} {text.count(PLACE)} times", f"write {PLACE} once, where the problem goes"
        )
    return Prompt(text=text.removesuffix("\n"))


def _of_json(name: str, text: str, *, is_base: bool) -> Asking:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise InputError(f"{name}: is not JSON: {error}", "a prompt that is not JSON has another suffix") from error
    row = {"messages": row} if isinstance(row, list) else row
    if not isinstance(row, dict):
        raise InputError(f"{name}: is neither a list of messages nor an object", "see `prm.generation.prompts.asking`")
    if is_base and row.get("base"):
        raise InputError(f"{name}: is a base, and has a base itself", "name a preset or a text there")
    return _of_fields(name, row)


def _of_fields(name: str, row: Any) -> Asking:
    try:
        given = converted(row | {"stop": [row["stop"]]} if isinstance(row.get("stop"), str) else row, _Fields)
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{name}: {error}", "see `prm.generation.prompts.asking` for its fields") from error
    if unknown := row.keys() - {field.name for field in fields(_Fields)}:
        raise InputError(f"{name}: has no field {', '.join(sorted(unknown))}", "see `prm.generation.prompts.asking`")
    base = _named(given.base, is_base=True)
    turns = given.messages or base.prompt.messages
    if given.system:
        turns = (Message("system", given.system), *(turn for turn in turns if turn.role != "system"))
    if sum(turn.content.count(PLACE) for turn in turns) != 1:
        raise InputError(f"{name}: its messages need {PLACE} once", "write it where the problem goes")
    if "" in given.stop:
        raise InputError(f"{name}: an empty text cannot end a solution", "leave it out")
    options = {**base.prompt.template_options, **given.template_options}
    prompt = Prompt(base.prompt.text, turns, options, given.prefix or base.prompt.prefix)
    return Asking(prompt, bool(base.chat or given.messages or given.system), (*base.stop, *given.stop))


def merged(stop: Sequence[str], asked: Asking) -> tuple[str, ...]:
    """The texts that end a solution: those of the job, and those of the prompt."""
    return tuple(dict.fromkeys((*stop, *asked.stop)))

"""The model card of a checkpoint: what it is, its data, its metrics, and its limits."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prm.statistics.bootstrap import Estimate

from .objectives import Objective

if TYPE_CHECKING:
    from prm.models.checkpoint import Metadata
    from prm.models.dialects import Dialect

_WHAT: dict[Objective, str] = {
    "prm": "A process reward model: it scores every step of a solution with a probability that it is right.",
    "orm": "An outcome reward model: it scores a whole solution with one number, higher is better.",
    "joint": "A process and an outcome reward model in one: a probability for each step, a number for the whole.",
    "implicit": "An implicit process reward model (arXiv 2412.01981): a language model that learned from outcomes, "
    "and scores every step by how much more likely than its base it finds the solution up to there.",
}
_RANKED = (
    "It learned by the loss `q-ranking`, which orders steps: rank by its scores, which are no probabilities until "
    "they are calibrated.\n"
)
_AUTO: dict[Objective, str] = {
    "prm": "AutoModelForTokenClassification",
    "orm": "AutoModelForSequenceClassification",
    "joint": "AutoModelForTokenClassification",
    "implicit": "AutoModelForCausalLM",
}
_TAGS: dict[Objective, str] = {
    "prm": "process-reward-model",
    "orm": "outcome-reward-model",
    "joint": "joint-reward-model",
    "implicit": "implicit-process-reward-model",
}
_TASKS: dict[Objective, str] = {
    "prm": "token-classification",
    "orm": "text-classification",
    "joint": "token-classification",
    "implicit": "text-generation",
}
_READ: dict[Objective, str] = {
    "prm": "Class 1 of its softmax is the score of a step, read at the last token of the separator {separator} that "
    "ends it.",
    "orm": "Its {rewards}, read at the last token: the separator {separator} after the last step.",
    "joint": "The softmax of its first two logits scores a step, class 1, read at the last token of the separator "
    "{separator} that ends it; the third logit, read at the very last token, is the reward.",
}
_READ_RATIOS = (
    "The score of a step is the sum of {beta:g} · log(this model / its reference) over the tokens of the solution up "
    "to the end of that step; that of the last step is the reward of the whole. The reference is `{reference}`, or "
    "another place of that model: `prm.load_scorer(…, reference=…)`. `dialect.json` says how the input is assembled."
)
_READ_WHOLE = "Its {rewards}, read at the last token of problem and solution as one text{ended}."


def model_card(
    reading: Metadata | Dialect,
    is_plain: bool,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Any],
    found: Mapping[str, Any],
    metrics: Mapping[str, Estimate],
) -> str:
    """The text of README.md, with the front matter that the Hub reads.

    Args:
        reading: how the model is fed and read.
        is_plain: whether plain transformers has a classifier of its backbone.
        settings: of the training.
        inputs: digests of the training files, by name.
        found: the audit, see `prm.training.data.audit.audit`.
        metrics: see `prm.training.measuring.measure`.
    """
    kind, train, held_out = settings["objective"], found["train"], found["held_out"]
    parts = [
        _head(kind, is_plain, str(settings["base"])),
        f"{_WHAT[kind]}\n",
        _RANKED if "q-ranking" in settings["losses"] else "",
        "## Use\n",
        _use(kind, reading, is_plain),
        "## Data\n",
        f"{train['chains']:,} chains of {train['problems']:,} problems ({train['tokens']:,} tokens), "
        f"{train['steps']:,} labeled steps, {train['pairs']:,} pairs. Measured on {held_out['chains']:,} chains of "
        f"{held_out['problems']:,} other problems; problems on both sides: {found['split']['shared_texts']}.\n",
        _table("source of a trained step's label", "steps", found["known"]),
        _table("dropped", "rows", found["dropped"]),
        _table("file", "SHA-256, first digits", inputs),
        "## Settings\n",
        f"```json\n{json.dumps(dict(settings), indent=1, default=str)}\n```\n",
        "## Measured on the held-out problems\n",
        _table("measure", "value", {name.replace("_", " "): _number(one) for name, one in metrics.items()}),
        "In brackets: 95% intervals, by resampling these problems.\n" if metrics else "There are none.\n",
        "## Limits\n",
        _limits(found["known"]),
    ]
    return "\n".join(part for part in parts if part)


def _head(kind: Objective, is_plain: bool, base: str) -> str:
    library = "transformers" if is_plain else "prm-toolkit"
    tags = ["reward-model", _TAGS[kind]]
    # the Hub cannot link to a local directory
    model = f"base_model: {base}\n" if base.count("/") == 1 and not Path(base).exists() else ""
    return (
        f"---\nlibrary_name: {library}\npipeline_tag: {_TASKS[kind]}\n{model}tags:\n- prm-toolkit\n"
        + "".join(f"- {tag}\n" for tag in tags)
        + "---\n"
    )


def _use(kind: Objective, reading: Metadata | Dialect, is_plain: bool) -> str:
    from prm.models.dialects import Dialect

    names = () if isinstance(reading, Dialect) else reading.outputs
    chosen = f', output="{names[0]}"' if len(names) > 1 else ""
    loads = (
        f"Plain transformers loads it with `{_AUTO[kind]}`"
        if is_plain
        else "It loads through prm-toolkit only, for plain transformers has no such classifier of its backbone (which "
        "`AutoModel` loads, without the head)"
    )
    if isinstance(reading, Dialect):
        read = f". {_READ_RATIOS.format(beta=reading.beta, reference=reading.companion)}"
    else:
        served = "" if chosen else "; vLLM serves it as a pooling model, if it has the backbone"
        read = f"{served}. {_read_at_head(reading)}"
    calls = f'scorer = prm.load_scorer("THIS_DIRECTORY"{chosen})\nscorer.score([problem], [steps])'
    return f"```python\nimport prm\n\n{calls}\n```\n\n{loads}{read}\n"


def _read_at_head(metadata: Metadata) -> str:
    ended = ", as the chat template ends a turn" if metadata.chat else ""
    read = _READ_WHOLE if metadata.form == "whole" else _READ[metadata.kind]
    named = ", ".join(f"`{name}`" for name in metadata.outputs)
    rewards = f"logits are {named}" if len(metadata.outputs) > 1 else "single logit is the reward"
    read = read.format(separator=repr(metadata.separator), ended=ended, rewards=rewards)
    return f"{read} `prm.json` says how the input is assembled."


def _table(left: str, right: str, rows: Mapping[str, Any]) -> str:
    if not rows:
        return ""
    return f"| {left} | {right} |\n| --- | --- |\n" + "".join(f"| {name} | {value} |\n" for name, value in rows.items())


def _number(one: Estimate) -> str:
    if one.value is None:
        return "-"
    return f"{one.value:.4g}" if one.low is None else f"{one.value:.4g} ({one.low:.4g} to {one.high:.4g})"


_RATED = {"human", "given"}
"""Sources of labels that are not estimated by rollouts."""


def _limits(known: Collection[str]) -> str:
    return (
        f"{_meaning(set(known))}Scores are meant for solutions like those in the data: to the "
        "same kind of problem, cut into steps in the same way, by a similar model. Others, and texts optimized against "
        "these scores, may be misjudged.\n"
    )


def _meaning(known: Collection[str]) -> str:
    """What the labels of these sources say of a step."""
    parts = []
    if not _RATED.issuperset(known):
        parts.append(
            "Labels from rollouts say whether the right answer can still be reached from a step, not whether "
            "the step is sound. "
        )
    if "human" in known:
        parts.append("Labels by people say whether a step is sound in the eyes of its rater. ")
    if "given" in known:
        parts.append("Labels that came with the data say what its authors say they do. ")
    return "".join(parts)

"""Options that several commands share, and the values parsed from them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from prm.data.steps import SPLITTERS
from prm.errors import InputError, require_known
from prm.generation.prompts import PROMPTS
from prm.verifiers.policy import PRESETS

Problems = Annotated[
    Path, typer.Option(help="problems: a file or folder (ours, or rows with a question and an answer, or messages)")
]
Chains = Annotated[Path, typer.Option(help="chains: a file or folder (ours, or rows with solutions or messages)")]
OutFile = Annotated[Path, typer.Option(help="file to write")]
OutDirectory = Annotated[Path, typer.Option(help="directory to write")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace an existing output")]
Model = Annotated[str, typer.Option(help="causal language model: Hugging Face directory or Hub name")]
ChainsEach = Annotated[int, typer.Option("--n", "-n", min=1, help="chains per problem")]
Temperature = Annotated[float, typer.Option(min=0.01, help="sampling temperature")]
TopP = Annotated[float, typer.Option(min=0.01, max=1.0, help="nucleus sampling")]
TopK = Annotated[int, typer.Option(min=0, help="draw from this many of the most likely tokens; 0 for all")]
MinP = Annotated[float, typer.Option(min=0.0, max=1.0, help="least probability, as a share of the most likely token's")]
RepetitionPenalty = Annotated[float, typer.Option(min=0.01, help="divides the logits of tokens that have occurred")]
MaxTokens = Annotated[int, typer.Option(min=1, help="maximum length of a continuation, in tokens")]
Seed = Annotated[int, typer.Option(min=0, help="random seed")]
Reproducible = Annotated[
    bool, typer.Option("--reproducible", help="give each draw a seed: the same job draws the same texts, but slower")
]
Splitter = Annotated[
    str,
    typer.Option(
        help=f"what ends a step: {', '.join(SPLITTERS)}, or regex:EXPRESSION; after it, ,min=40 joins shorter steps "
        "(,max=400 limits that), ,thought=one keeps a thought whole"
    ),
]
Chat = Annotated[bool, typer.Option("--chat", help="put the problem into the model's chat template")]
Prompt = Annotated[
    str, typer.Option(help=f"what stands around a problem: {', '.join(PROMPTS)}, or a file with {{problem}} in it")
]
System = Annotated[str, typer.Option(help="system prompt of a chat")]
TemplateOption = Annotated[
    list[str] | None,
    typer.Option(help="KEY=VALUE for the chat template, such as enable_thinking=false; repeatable"),
]
Prefix = Annotated[str, typer.Option(help="beginning of every solution, as the model finds it")]
Stop = Annotated[
    list[str] | None, typer.Option(help="text that ends a continuation, besides the model's own end; repeatable")
]

Engine = Annotated[
    str, typer.Option(help="vllm (in this process) or ray (workers on many machines, each with its own vLLM)")
]
Workers = Annotated[int, typer.Option(min=1, help="ray: number of workers")]
WorkerGpus = Annotated[
    float, typer.Option(min=0.0, help="ray: GPUs per worker; with several, its engine uses all of them")
]


def on_ray(engine: str, workers: int, worker_gpus: float) -> dict[str, Any]:
    """The settings of a job on Ray, or in this process."""
    require_known("--engine", engine, ("vllm", "ray"))
    return {"ray_workers": workers if engine == "ray" else 0, "ray_gpus": worker_gpus}


def one_of(names: Iterable[str]) -> str:
    """Help text for an option that takes one of these names.

    >>> one_of(["min", "product", "max"])
    'min, product or max'
    """
    *first, last = names
    return f"{', '.join(first)} or {last}"


def key_values(option: str, shape: str, given: Sequence[str], hint: str) -> dict[str, str]:
    """Parse the values of a repeatable KEY=VALUE option; the last of equal keys wins.

    >>> key_values("--scores", "NAME=FILE", ["PRM=a=b.jsonl"], "such as --scores PRM=scores.jsonl")
    {'PRM': 'a=b.jsonl'}

    Raises:
        InputError: a value has no `=`; the message names the option and `shape`, with this hint.
    """
    wrong = next((text for text in given if "=" not in text), None)
    if wrong is not None:
        raise InputError(f"{option} {wrong!r} is not {shape}", hint)
    return dict(text.split("=", 1) for text in given)


Checker = Annotated[
    str,
    typer.Option(
        help=f"how answers are checked: {', '.join(PRESETS)}; module:function; or a program, such as "
        "'command: python grader.py'"
    ),
]
EngineOption = Annotated[
    list[str] | None,
    typer.Option(
        "--engine-option",
        help="KEY=VALUE for the engine: tensor_parallel_size=2 for vLLM, model=NAME for servers; repeatable",
    ),
]
Endpoint = Annotated[
    list[str] | None,
    typer.Option(
        help="base URL of a server of the model, such as http://host:8000/v1, instead of vLLM here; repeatable"
    ),
]


_GENERATION: dict[str, tuple[Any, Any]] = {
    "temperature": (Temperature, 1.0),
    "top_p": (TopP, 1.0),
    "top_k": (TopK, 0),
    "min_p": (MinP, 0.0),
    "repetition_penalty": (RepetitionPenalty, 1.0),
    "max_tokens": (MaxTokens, 1024),
    "stop": (Stop, None),
    "seed": (Seed, 0),
    "reproducible": (Reproducible, False),
    "splitter": (Splitter, "newline"),
    "chat": (Chat, False),
    "prompt": (Prompt, ""),
    "system": (System, ""),
    "template_option": (TemplateOption, None),
    "prefix": (Prefix, ""),
    "checker": (Checker, "exact"),
    "endpoint": (Endpoint, None),
    "engine_option": (EngineOption, None),
}
"""The options of every command that generates: type and default."""


def generating(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of generation, and pass them as its `settings`, with the names of `prm.sample`."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in _GENERATION.items()
    ]

    @wraps(command)
    def run(**given: Any) -> None:
        command(**{p.name: given.pop(p.name) for p in own}, **_settings(given))

    run.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
    return run


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of generation as the jobs of the library take them."""
    parts = {"system", "template_option", "prefix", "endpoint", "engine_option"}
    return {name: value for name, value in given.items() if name not in parts} | {
        "stop": given["stop"] or (),
        "prompt": whole_prompt(given["prompt"], given["system"], given["template_option"] or [], given["prefix"]),
        "endpoints": given["endpoint"] or (),
        "engine_options": engine_options(given["engine_option"] or []),
    }


def whole_prompt(prompt: str, system: str, template_option: Sequence[str], prefix: str) -> str | dict[str, Any]:
    """The prompt as `prm.generation.prompts.asking` takes it."""
    given = key_values("--template-option", "KEY=VALUE", template_option, "such as enable_thinking=false")
    options = {key: _json_or_text(value) for key, value in given.items()}
    around = {"system": system, "template_options": options, "prefix": prefix}
    return {"base": prompt, **around} if any(around.values()) else prompt


def engine_options(options: Sequence[str]) -> dict[str, Any]:
    """Parse `--engine-option`: each value is read as JSON if it is JSON, else as text."""
    given = key_values("--engine-option", "KEY=VALUE", options, "such as max_model_len=4096")
    return {key: _json_or_text(value) for key, value in given.items()}


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value

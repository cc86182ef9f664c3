"""`prm sample`: problems → chains."""

from __future__ import annotations

from prm.generation import sampling

from .options import (
    ChainsEach,
    Chat,
    Checker,
    Endpoint,
    EngineOption,
    MaxTokens,
    MinP,
    Model,
    OutFile,
    Overwrite,
    Prefix,
    Problems,
    Prompt,
    RepetitionPenalty,
    Reproducible,
    Seed,
    Splitter,
    Stop,
    System,
    Temperature,
    TemplateOption,
    TopK,
    TopP,
    engine_options,
    whole_prompt,
)


def sample(
    model: Model,
    problems: Problems,
    out: OutFile,
    n: ChainsEach = 16,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    top_k: TopK = 0,
    min_p: MinP = 0.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    max_tokens: MaxTokens = 1024,
    stop: Stop = None,
    seed: Seed = 0,
    reproducible: Reproducible = False,
    splitter: Splitter = "newline",
    chat: Chat = False,
    prompt: Prompt = "",
    system: System = "",
    template_option: TemplateOption = None,
    prefix: Prefix = "",
    endpoint: Endpoint = None,
    engine_option: EngineOption = None,
    checker: Checker = "exact",
    overwrite: Overwrite = False,
) -> None:
    """Problems → chains: N solutions for each problem, with vLLM or servers.

    A killed job resumes when the same command is run again.
    """
    sampling.sample(
        problems, out,
        model=model, n=n, temperature=temperature, top_p=top_p,
        top_k=top_k, min_p=min_p, repetition_penalty=repetition_penalty, max_tokens=max_tokens,
        stop=stop or (), seed=seed, reproducible=reproducible,
        splitter=splitter, chat=chat, prompt=whole_prompt(prompt, system, template_option or [], prefix),
        endpoints=endpoint or (), engine_options=engine_options(engine_option or []),
        checker=checker, overwrite=overwrite,
    )  # fmt: skip

"""Public reward models: the dialect of each family, in one table, and the choice of a model's dialect.

A family's dialect is chosen by the caller, by an exact name on the Hub, or by an architecture that only one family has;
never by part of a name. The sources are the model cards and their authors' scripts; `docs/scoring.md` shows the table.
Left out: critics that generate text.
"""

from __future__ import annotations

import os
from pathlib import Path

from prm import console
from prm.errors import ModelError

from .dialects import Dialect, read_dialect

SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."
"""The system prompt of Qwen2.5-Math's reward models."""
ARMORM = (
    "helpsteer-helpfulness", "helpsteer-correctness", "helpsteer-coherence", "helpsteer-complexity",
    "helpsteer-verbosity", "ultrafeedback-overall_score", "ultrafeedback-instruction_following",
    "ultrafeedback-truthfulness", "ultrafeedback-honesty", "ultrafeedback-helpfulness", "beavertails-is_safe",
    "prometheus-score", "argilla-overall_quality", "argilla-judge_lm", "code-complexity", "code-style",
    "code-explanation", "code-instruction-following", "code-readability",
)  # fmt: skip
"""The attributes that ArmoRM rates, in the order of its outputs."""
HELPSTEER = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
"""The attributes that models trained on HelpSteer2 rate, in the order of their outputs."""
REASONEVAL = {"validity": (0.0, 1.0, 1.0), "redundancy": (0.0, 1.0, 0.0)}
"""What ReasonEval's probabilities of a wrong, a superfluous and a right step mean."""

DIALECTS: dict[str, Dialect] = {
    "math-shepherd": Dialect(
        layout="plain",
        problem_end=" ",
        step_start="Step {n}: ",
        joint="\n",
        marker=" ки",
        answers=(" -", " +"),
        architectures=("*ForCausalLM", "*LMHeadModel"),
        hub_names=("peiyi9979/math-shepherd-mistral-7b-prm",),
        form="problem, space, `Step 1: … ки`, newline, `Step 2: … ки`",
        read_at="`ки`",
        readout="softmax",
        threshold=0.5,
        aggregator="min",
        source="card of peiyi9979/math-shepherd-mistral-7b-prm; arXiv 2312.08935",
        ids={"ки": 12902, "-": 387, "+": 648},
    ),
    "rlhflow": Dialect(
        layout="turns",
        problem_end=" ",
        answers=("-", "+"),
        architectures=("*ForCausalLM", "*LMHeadModel"),
        hub_names=("RLHFlow/Llama3.1-8B-PRM-Mistral-Data", "RLHFlow/Llama3.1-8B-PRM-Deepseek-Data"),
        form="chat: user turns of problem, space, step 1, then step 2, …; the assistant answers each with `+`",
        read_at="token before each `+`",
        readout="softmax",
        threshold=0.5,
        aggregator="mean",
        source="RLHFlow/RLHF-Reward-Modeling, math-rm/prm_evaluate.py",
        ids={"-": 12, "+": 10},
    ),
    "qwen": Dialect(
        layout="chat",
        system=SYSTEM,
        marker="<extra_0>",
        architectures=("Qwen2ForProcessRewardModel",),
        hub_names=("Qwen/Qwen2.5-Math-PRM-7B", "Qwen/Qwen2.5-Math-PRM-72B", "Qwen/Qwen2.5-Math-7B-PRM800K"),
        form="chat with system prompt; the assistant's turn holds all steps, each followed by `<extra_0>`",
        read_at="`<extra_0>`",
        readout="softmax",
        threshold=0.5,
        aggregator="product",
        source="card of Qwen/Qwen2.5-Math-PRM-7B; arXiv 2501.07301",
        ids={"<extra_0>": 151651},
        is_automatic=True,
    ),
    "reasonflux": Dialect(
        layout="chat",
        marker="<extra_0>",
        architectures=("Qwen2ForProcessRewardModel",),
        hub_names=("Gen-Verse/ReasonFlux-PRM-7B",),
        form="chat without a system prompt; the assistant's turn holds all steps, each followed by `<extra_0>`",
        read_at="`<extra_0>`",
        threshold=0.5,
        aggregator="mean",
        source="Gen-Verse/ReasonFlux, ReasonFlux_PRM/README.md; arXiv 2506.18896",
        ids={"<extra_0>": 151651},
    ),
    "versaprm": Dialect(
        layout="plain",
        problem_end=" \n\n",
        marker=" \n\n\n\n",
        answers=("-", "+"),
        architectures=("*ForCausalLM", "*LMHeadModel"),
        hub_names=(
            "UW-Madison-Lee-Lab/VersaPRM",
            "UW-Madison-Lee-Lab/VersaPRM-Base-8B",
            "UW-Madison-Lee-Lab/Llama-PRM800K",
            "UW-Madison-Lee-Lab/Qwen-PRM800K",
        ),
        form="problem, space and blank line; each step followed by a space and four newlines",
        read_at="token of space and four newlines",
        threshold=0.5,
        aggregator="min",
        source="mtzig/MultiDomainPRM, evaluation/prm_models; arXiv 2502.06737",
        ids={"-": 12, "+": 10},
    ),
    "skywork": Dialect(
        layout="pieces",
        problem_end="\n",
        marker="\n",
        bos="required",
        splits_lines=True,
        architectures=("Qwen2ForPrmModel",),
        hub_names=("Skywork/Skywork-o1-Open-PRM-Qwen-2.5-1.5B", "Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B"),
        form="BOS, problem, newline; each line of the solution and its newline tokenized separately",
        read_at="newline after each step",
        readout="sigmoid",
        threshold=None,
        aggregator="min",
        source="SkyworkAI/skywork-o1-prm-inference, model_utils/io_utils.py and prm_model.py",
        is_automatic=True,
    ),
    "trl": Dialect(
        layout="pieces",
        marker="\n",
        architectures=("*ForTokenClassification",),
        hub_names=("trl-lib/Qwen2-0.5B-Reward-Math-Sheperd",),
        form="BOS if there is one, problem; steps and newlines tokenized separately",
        read_at="newline after each step",
        readout="softmax",
        threshold=0.5,
        aggregator="min",
        source="TRL 1.13.0, trl/experimental/prm/prm_trainer.py, tokenize_row",
        labels=2,
        is_automatic=True,
    ),
    "h4": Dialect(
        layout="pieces",
        marker="\n\n",
        architectures=("*ForTokenClassification",),
        hub_names=(
            "HuggingFaceH4/Qwen2.5-Math-1.5B-Instruct-PRM-0.2",
            "HuggingFaceH4/Qwen2.5-Math-7B-Instruct-PRM-0.2",
        ),
        form="as trl, with blank lines instead of newlines",
        read_at="blank line after each step",
        readout="softmax",
        threshold=0.5,
        aggregator="min",
        source="huggingface/search-and-learn, recipes/training/Qwen2.5-Math-7B-Instruct-PRM",
        labels=2,
    ),
    "pure": Dialect(
        layout="pieces",
        marker="\n",
        bos="none",
        architectures=("*ForTokenClassification",),
        hub_names=("jinachris/PURE-PRM-7B",),
        form="problem; steps and newlines tokenized separately",
        read_at="newline after each step",
        readout="difference",
        threshold=0.0,
        aggregator="min",
        source="card of jinachris/PURE-PRM-7B",
        labels=2,
    ),
    "reasoneval-7b": Dialect(
        layout="pieces",
        problem_start="Question:\n",
        problem_end="\nAnswer:\nLet's think step by step.\n",
        bos="required",
        reads_earlier=True,
        architectures=("ReasonEval_7B",),
        hub_names=("GAIR/ReasonEval-7B",),
        form="BOS; `Question:`, problem, `Answer:`, `Let's think step by step.` in lines; steps, tokenized separately",
        read_at="token before the last of each step",
        threshold=0.5,
        aggregator="min",
        outputs=REASONEVAL,
        source="GAIR-NLP/ReasonEval, codes/examples.py and mr-math_eval.py; arXiv 2404.05692",
        is_automatic=True,
    ),
    "reasoneval-34b": Dialect(
        layout="pieces",
        problem_start="Question:\n",
        problem_end="\nAnswer:\nLet's think step by step.\n",
        bos="required",
        architectures=("ReasonEval_34B",),
        hub_names=("GAIR/ReasonEval-34B",),
        form="as reasoneval-7b",
        read_at="last token of each step",
        threshold=0.5,
        aggregator="min",
        outputs=REASONEVAL,
        source="GAIR-NLP/ReasonEval, codes/examples.py and mr-math_eval.py; arXiv 2404.05692",
        is_automatic=True,
    ),
    "openr": Dialect(
        layout="plain",
        problem_end=" ",
        step_start="Step {n}: ",
        joint=" ",
        marker=" \n\n\n\n\n",
        answers=(" -", " +"),
        architectures=("*ForCausalLM", "*LMHeadModel"),
        hub_names=("openreasoner/Math-psa",),
        form="problem, space, `Step 1: …`, space and five newlines, space, `Step 2: …`, …",
        read_at="token of space and five newlines",
        readout="softmax",
        threshold=0.5,
        aggregator="min",
        source="openreasoner/openr, prm/infer_fns.py and prm/code/test_qwen.py",
        ids={"\n\n\n\n\n": 76325, "-": 481, "+": 488},
        companion="Qwen/Qwen2.5-Math-7B-Instruct",
    ),
    "implicit": Dialect(
        layout="spans",
        step_start="Step {n}: ",
        joint="\n\n",
        architectures=("*ForCausalLM", "*LMHeadModel"),
        hub_names=("PRIME-RL/EurusPRM-Stage1", "PRIME-RL/EurusPRM-Stage2"),
        form="chat; the assistant's turn is `Step 1: …`, `Step 2: …` with blank lines between",
        read_at="all tokens of the solution, summed up to the blank line after each step or the end of the turn",
        readout="sum",
        threshold=None,
        aggregator="last",
        source="card of PRIME-RL/EurusPRM-Stage2; arXiv 2412.01981, proposition 3.1",
        companion="Qwen/Qwen2.5-Math-7B-Instruct",
    ),
    "outcome": Dialect(
        layout="whole",
        kind="orm",
        architectures=("*ForSequenceClassification",),
        hub_names=(
            "Skywork/Skywork-Reward-Llama-3.1-8B-v0.2",
            "Skywork/Skywork-Reward-V2-Qwen3-0.6B",
            "Skywork/Skywork-Reward-V2-Qwen3-1.7B",
            "Skywork/Skywork-Reward-V2-Qwen3-4B",
            "Skywork/Skywork-Reward-V2-Qwen3-8B",
            "Skywork/Skywork-Reward-V2-Llama-3.2-1B",
            "Skywork/Skywork-Reward-V2-Llama-3.2-3B",
            "Skywork/Skywork-Reward-V2-Llama-3.1-8B",
            "Skywork/Skywork-Reward-Gemma-2-27B",
            "Skywork/Skywork-Reward-Gemma-2-27B-v0.2",
            "sfairXC/FsfairX-LLaMA3-RM-v0.1",
            "NCSOFT/Llama-3-OffsetBias-RM-8B",
        ),
        form="chat: user turn with the problem, assistant turn with the solution",
        read_at="last token",
        readout="reward",
        threshold=None,
        aggregator=None,
        source="cards of Skywork-Reward, Skywork-Reward-V2, FsfairX and OffsetBias",
        labels=1,
        is_automatic=True,
    ),
    "grm": Dialect(
        layout="whole",
        kind="orm",
        readout="reward",
        doubles_bos=True,
        architectures=("*ForSequenceClassification",),
        hub_names=("Ray2333/GRM-gemma2-2B-rewardmodel-ft", "Ray2333/GRM-Gemma2-2B-rewardmodel-ft"),
        form="BOS and chat, which begins with another: user turn with the problem, assistant turn with the solution",
        read_at="last token",
        source="card of Ray2333/GRM-gemma2-2B-rewardmodel-ft; arXiv 2406.10216",
        labels=1,
    ),
    "urm": Dialect(
        layout="whole",
        kind="orm",
        readout="reward",
        doubles_bos=True,
        architectures=("LlamaForSequenceClassificationWithNormal_Weights",),
        hub_names=("LxzGordon/URM-LLaMa-3.1-8B",),
        form="as grm",
        read_at="last token",
        outputs={name: (0.0,) * i + (1.0,) for i, name in enumerate(("score", *HELPSTEER))},
        source="card of LxzGordon/URM-LLaMa-3.1-8B; sglang, srt/models/llama_reward.py; arXiv 2410.00847",
        is_automatic=True,
    ),
    "qwen-outcome": Dialect(
        layout="whole",
        system=SYSTEM,
        kind="orm",
        architectures=("Qwen2ForRewardModel",),
        hub_names=("Qwen/Qwen2.5-Math-RM-72B",),
        form="chat with system prompt: user turn with the problem, assistant turn with the solution",
        read_at="last token",
        readout="reward",
        threshold=None,
        aggregator=None,
        source="card of Qwen/Qwen2.5-Math-RM-72B",
        is_automatic=True,
    ),
    "acemath": Dialect(
        layout="whole",
        kind="orm",
        readout="reward",
        system=r"Please reason step by step, and check your final answer within \boxed{}.",
        architectures=("*ForSequenceClassification",),
        hub_names=("nvidia/AceMath-7B-RM", "nvidia/AceMath-72B-RM"),
        form="chat with a system prompt of its own: user turn with the problem, assistant turn with the solution",
        read_at="last token",
        source="card of nvidia/AceMath-7B-RM",
        labels=1,
    ),
    "inf-orm": Dialect(
        layout="whole",
        kind="orm",
        readout="reward",
        architectures=("INFORMForSequenceClassification",),
        hub_names=("infly/INF-ORM-Llama3.1-70B",),
        form="chat: user turn with the problem, assistant turn with the solution",
        read_at="last token",
        source="card of infly/INF-ORM-Llama3.1-70B; RewardBench, rewardbench/models/inform.py",
        is_automatic=True,
    ),
    "internlm2": Dialect(
        layout="whole",
        kind="orm",
        readout="reward",
        closing_token="reward_token_id",
        architectures=("InternLM2ForRewardModel",),
        hub_names=("internlm/internlm2-1_8b-reward", "internlm/internlm2-7b-reward", "internlm/internlm2-20b-reward"),
        form="chat: user turn with the problem, assistant turn with the solution; the token `reward_token_id`",
        read_at="`reward_token_id`",
        source="RewardBench, rewardbench/models/internlm.py; vLLM, model_executor/models/internlm2.py",
        is_automatic=True,
    ),
    "nemotron": Dialect(
        layout="whole",
        kind="orm",
        readout="reward",
        answer_ids=(0,),
        architectures=("*ForCausalLM", "*LMHeadModel"),
        hub_names=("nvidia/Llama-3.1-Nemotron-70B-Reward-HF", "nvidia/Llama-3.3-Nemotron-70B-Reward"),
        form="chat: user turn with the problem, assistant turn with the solution",
        read_at="last token, the logit of the vocabulary's first token",
        source="card of nvidia/Llama-3.1-Nemotron-70B-Reward-HF",
    ),
    "armorm": Dialect(
        layout="whole",
        kind="orm",
        readout="reward",
        architectures=("LlamaForRewardModelWithGating",),
        hub_names=("RLHFlow/ArmoRM-Llama3-8B-v0.1",),
        form="chat: user turn with the problem, assistant turn with the solution",
        read_at="last token; the gate, at the end of the last question",
        outputs={name: (0.0,) * i + (1.0,) for i, name in enumerate(("score", *ARMORM))},
        source="card of RLHFlow/ArmoRM-Llama3-8B-v0.1; RLHFlow/RLHF-Reward-Modeling, armo-rm",
        is_automatic=True,
    ),
    "qrm": Dialect(
        layout="whole",
        kind="orm",
        readout="reward",
        architectures=("Gemma2ForQuantileSequenceClassification", "LlamaForQuantileRewardModelWithGating"),
        hub_names=("nicolinho/QRM-Gemma-2-27B", "nicolinho/QRM-Llama3.1-8B", "nicolinho/QRM-Llama3-8B"),
        form="chat: user turn with the problem, assistant turn with the solution",
        read_at="last token; the gate, at the end of the last question",
        outputs={"score": (1.0,)},
        source="RewardBench, rewardbench/models/qrm.py; Frankfurt-AI-Safety/One-Judge-After-Another, scoring/qrm.py; "
        "arXiv 2409.10164",
        is_automatic=True,
    ),
}
"""Dialects by name."""


def choose_dialect(name: str, architecture: str, labels: int, wanted: str | Dialect | None = None) -> Dialect:
    """Choose a model's dialect: the one wanted, else that of a known Hub name, else that of its architecture.

    Args:
        name: directory or Hub name of the model.
        architecture: its architecture in config.json.
        labels: its number of classes in config.json.
        wanted: a dialect, a name in `DIALECTS`, a file with one, or None to choose.

    Raises:
        ModelError: the dialect is unknown, the architecture does not fit it, or several dialects fit.
    """
    if wanted is not None:
        return _fitting(name, given_dialect(wanted), _called(wanted), architecture, labels)
    known = [key for key, dialect in DIALECTS.items() if name in dialect.hub_names]
    if known:
        return _fitting(name, DIALECTS[known[0]], known[0], architecture, labels)
    fitting = [key for key, dialect in DIALECTS.items() if not dialect.misfit(architecture, labels)]
    automatic = [key for key in fitting if DIALECTS[key].is_automatic]
    if automatic:
        return _assumed(name, automatic[0], architecture)
    if fitting:
        is_causal = all(DIALECTS[key].is_causal for key in fitting)
        doubt = "a language model, perhaps no reward model at all; " if is_causal else ""
        raise ModelError(
            f"{name}: is {doubt}several dialects read a {architecture}",
            f"if it is a reward model, name its dialect: --dialect NAME (dialect=NAME), a file or one of: "
            f"{', '.join(fitting)}",
        )
    raise ModelError(
        f"{name}: no dialect reads a {architecture} with {labels} labels",
        f"describe it: --dialect FILE (dialect=Dialect(…)); known: {', '.join(DIALECTS)}",
    )


def _called(wanted: str | Dialect) -> str:
    return "given" if isinstance(wanted, Dialect) else wanted[:60]


def given_dialect(wanted: str | Dialect) -> Dialect:
    """The dialect of a name or a file, or the dialect itself.

    Raises:
        ModelError: there is none of this name, or the file holds none.
    """
    if isinstance(wanted, Dialect):
        return wanted
    if wanted in DIALECTS:
        return DIALECTS[wanted]
    if Path(wanted).suffix in (".toml", ".json") or os.path.isfile(wanted):  # noqa: PTH113 (a long text is no file, not an OSError)
        return read_dialect(wanted)
    raise ModelError(f"unknown dialect {wanted[:60]!r}", f"give a file, or choose from {', '.join(DIALECTS)}")


def _assumed(name: str, key: str, architecture: str) -> Dialect:
    """The dialect that is usual for an architecture; says so, for another one may be meant."""
    dialect = DIALECTS[key]
    with_prompt = f" with the system prompt {dialect.system!r}" if dialect.system else ""
    console.say(f"{name}: read as {key!r}, the usual dialect of a {architecture}{with_prompt}; --dialect names another")
    return dialect


def _fitting(name: str, dialect: Dialect, called: str, architecture: str, labels: int) -> Dialect:
    misfit = dialect.misfit(architecture, labels)
    if misfit is None:
        return dialect
    own = "mend it, or give a model that it is for"
    other = "leave the dialect out, or name the one that the model was trained in: --dialect NAME (dialect=NAME)"
    raise ModelError(
        f"{name}: is {misfit.replace('the dialect', f'the dialect {called!r}')}", other if called in DIALECTS else own
    )


def companion_of(name: str) -> str | None:
    """The base or reference model of a known model on the Hub; None if unknown."""
    return next((d.companion for d in DIALECTS.values() if name in d.hub_names), None)

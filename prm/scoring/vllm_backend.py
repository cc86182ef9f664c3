"""A reward model in vLLM: rows of token ids go into its continuous batch, the head's raw outputs come out.

vLLM serves token classifiers (`token_classify`), Qwen's process reward models (the same task, set to return every token
rather than those of the model's own marker) and sequence classifiers with one label (`classify`). Its activation is
off: the numbers are the head's own, as from `prm.scoring.backends.TransformersBackend`. Prefix caching and chunked
prefill are off: every pooled token must be computed anyway, and results must not depend on other rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from prm.errors import EngineError, ModelError
from prm.models.architectures import load_config
from prm.models.decoders import form_of, is_decoder
from prm.models.vllm_process import VllmProcess, last_line

from .backends import TokenRow

_TASKS = {
    "ForTokenClassification": "token_classify",
    "ForProcessRewardModel": "token_classify",
    "ForRewardModel": "token_classify",
    "ForSequenceClassification": "classify",
}
"""vLLM's pooling task by the suffix of the architecture's name, as vLLM itself decides."""
_UNLIKE = ("gpt_neox", "lfm2")
"""Types of models of which vLLM 0.32 gives other scores than transformers, at least without a GPU."""
ENGINE_TOKENS = 65_536
"""Tokens that keep an engine busy, which forms its own batches."""
_ELSE = "use the transformers backend"


class VllmBackend:
    """A model in vLLM; see `prm.scoring.backends.Backend`. A pickled one starts a new engine where it is unpickled.

    Args:
        model: a Hugging Face directory or Hub name.
        dtype: of the backbone; "auto" for that of the file. The head is computed in float32.
        revision: of a model on the Hub: branch, tag or commit.
        options: passed to `vllm.LLM` unchanged (`tensor_parallel_size`, `max_model_len`, …).

    Raises:
        ModelError: vLLM is not installed, cannot load the model, or does not serve it as a reward model.
    """

    tokens_per_pass = ENGINE_TOKENS

    def __init__(self, model: str, *, dtype: str = "auto", revision: str | None = None, **options: Any) -> None:
        self._start_again = partial(VllmBackend, model, dtype=dtype, revision=revision, **options)
        config = load_config(model, revision=revision)
        self._task = pooling_task(model, config)
        pooler = {"task": self._task, **({"tok_pooling_type": "ALL"} if self._task == "token_classify" else {})}
        settings = {"revision": revision, "enable_prefix_caching": False, "enable_chunked_prefill": False, **options}
        stored = str(config.dtype or dtype).removeprefix("torch.")  # vLLM's own "auto" would lower float32
        self._process = VllmProcess(model, pooler=pooler, dtype=stored if dtype == "auto" else dtype, **settings)
        self.max_length = int(self._process.llm.model_config.max_model_len)
        """Most tokens a row may have."""

    def __reduce__(self) -> tuple[Callable[[], VllmBackend], tuple[()]]:
        """Pickle the arguments: the engine's processes cannot be sent elsewhere."""
        return self._start_again, ()

    def outputs(self, rows: Sequence[TokenRow]) -> list[Tensor]:
        """The head's outputs for each row, in order: ``(reads, channels)`` in float32.

        A sequence classifier is read at the last token only.

        Raises:
            EngineError: vLLM stopped.
        """
        from vllm import PoolingParams, TokensPrompt

        prompts = [TokensPrompt(prompt_token_ids=list(ids)) for ids, _ in rows]
        params = PoolingParams(use_activation=False)
        try:
            found = self._process.llm.encode(prompts, params, pooling_task=self._task, use_tqdm=False)
        except Exception as error:  # vLLM raises many kinds when its process dies; the boundary turns them into one
            raise EngineError(
                f"vLLM stopped: {last_line(error)}", "run the same job again; VLLM_LOGGING_LEVEL=INFO shows why"
            ) from error
        return [self._at(places, output.outputs.data) for (_, places), output in zip(rows, found, strict=True)]

    def _at(self, places: Sequence[int], data: Tensor) -> Tensor:
        if self._task == "classify":
            return data.float().reshape(1, -1)
        return data.float()[torch.tensor(places, dtype=torch.long)]

    def close(self) -> None:
        """Stop the engine's processes."""
        self._process.close()


def pooling_task(model: str, config: Any) -> str:
    """The vLLM task that reads a model's head.

    Args:
        model: name of the model, for messages.
        config: the model's configuration.

    Raises:
        ModelError: there is none: the model is a causal language model, say, or has several labels per text, or a head
            that vLLM does not look for.
    """
    architecture = config.architectures[0]
    task = next((task for end, task in _TASKS.items() if architecture.endswith(end)), None)
    if task is None:
        is_causal = architecture.endswith("ForCausalLM")
        other = "convert it first (prm convert --to token-classifier), or " if is_causal else ""
        raise ModelError(f"{model}: vLLM does not serve {architecture} as a reward model", other + _ELSE)
    if task == "classify" and config.num_labels != 1:
        raise ModelError(f"{model}: has {config.num_labels} labels per text, but a reward model has one", _ELSE)
    has_other_head = is_decoder(config) and form_of(config, "orm" if task == "classify" else "prm").head != "score"
    if has_other_head or config.model_type in _UNLIKE:
        raise ModelError(f"{model}: vLLM does not serve a {config.model_type} as such a reward model", _ELSE)
    return task

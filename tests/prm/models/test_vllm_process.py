"""How vLLM is started: where it runs, and in which precision."""

import os

import pytest

from prm.generation import vllm_engine
from prm.models import vllm_process

WHERE = "VLLM_ENABLE_V1_MULTIPROCESSING"


@pytest.mark.parametrize(
    ("has_gpu", "before", "after"), [(False, None, "0"), (False, "1", "1"), (True, None, None), (True, "0", "0")]
)
def test_a_command_shares_its_process_with_an_engine_that_has_no_gpu(monkeypatch, has_gpu, before, after):
    monkeypatch.setattr(vllm_process, "has_gpu", lambda: has_gpu)
    monkeypatch.setenv(WHERE, before or "")
    if before is None:
        monkeypatch.delenv(WHERE)
    vllm_process.run_in_this_process()
    assert os.environ.get(WHERE) == after


@pytest.mark.parametrize(
    ("has_gpu", "is_fast", "dtype"), [(False, False, "float32"), (False, True, None), (True, False, None)]
)
def test_a_cpu_that_is_slow_in_bfloat16_computes_in_float32(monkeypatch, has_gpu, is_fast, dtype):
    monkeypatch.setattr(vllm_engine, "has_gpu", lambda: has_gpu)
    monkeypatch.setattr(vllm_engine, "_computes_in_bfloat16", lambda: is_fast)
    assert vllm_engine._defaults(reproducible=True).get("dtype") == dtype


def test_whether_bfloat16_is_fast_is_asked_of_pytorch():
    assert vllm_engine._computes_in_bfloat16() in (True, False)

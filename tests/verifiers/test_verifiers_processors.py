"""The number of processors: by affinity, and by the limits of a container."""

import os

import pytest

from prm.verifiers.expressions import processors as module
from prm.verifiers.expressions.processors import processors


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A machine with eight processors for this process, and a function that counts them in given control groups."""
    monkeypatch.setattr(module, "_by_affinity", lambda: 8)

    def count(own, files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return processors(tmp_path / "own", tmp_path)

    return count


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {}, 8),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "5000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "3200000 100000\n"}, 8),
        ("0::/pod/box\n", {"pod/box/cpu.max": "max 100000\n", "pod/cpu.max": "300000 100000\n"}, 3),
        ("0::/../../box\n", {"cpu.max": "200000 100000\n"}, 2),
        ("5:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "250000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 3),
        ("5:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 8),
        ("5:cpuset:/\n0::/\n", {"cpuset/cpu.max": "100000 100000\n"}, 8),
    ],
)
def test_limits_of_containers(groups, own, files, expected):
    assert groups(own, files) == expected


def test_without_control_groups_the_affinity_counts(tmp_path, monkeypatch):
    for name, count in (("cpu_count", 16), ("sched_getaffinity", {0, 3, 5}), ("process_cpu_count", 2)):
        monkeypatch.setattr(os, name, lambda *_, count=count: count, raising=False)
    assert processors(tmp_path / "none") == 2
    monkeypatch.delattr(os, "process_cpu_count")
    assert processors(tmp_path / "none") == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert processors(tmp_path / "none") == 16

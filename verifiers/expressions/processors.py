"""How many processors this process may use."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_OWN_GROUPS = Path("/proc/self/cgroup")
_ALL_GROUPS = Path("/sys/fs/cgroup")


def processors(own_groups: Path = _OWN_GROUPS, all_groups: Path = _ALL_GROUPS) -> int:
    """The processors that this process may use, from 1: fewer than the machine has if it is pinned or in a container.

    A container's limit on processor time, as Docker and Kubernetes set it, is rounded up to whole processors.

    Args:
        own_groups: The file that names the control groups of this process, in Linux.
        all_groups: The folder of all control groups, of version 1 or 2.
    """
    return math.ceil(min([_by_affinity(), *_limits(own_groups, all_groups)]))


def _by_affinity() -> int:
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _limits(own_groups: Path, all_groups: Path) -> Iterator[float]:
    """The limits of the process's control groups and of the groups around them, in processors, above 0."""
    with contextlib.suppress(OSError):
        for line in own_groups.read_text().splitlines():
            _, controllers, own = line.split(":", 2)
            if not controllers or "cpu" in controllers.split(","):
                home = all_groups / "cpu" if controllers else all_groups
                group = PurePosixPath(own.lstrip("/"))
                yield from filter(None, (_limit(home / folder) for folder in (group, *group.parents)))


def _limit(group: Path) -> float | None:
    for quota_file, period_file in (("cpu.max", "cpu.max"), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        with contextlib.suppress(OSError):
            quota, period = (group / quota_file).read_text().split()[0], (group / period_file).read_text().split()[-1]
            return None if quota in ("max", "-1") else int(quota) / int(period)
    return None

"""How many processors this process may really use."""

from __future__ import annotations

import os
from pathlib import Path


def _limit_of(folder: Path) -> float | None:
    """CPU limit set in one cgroup folder (version 2, else 1); None where there is none."""
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
        except OSError:
            return None
    try:
        limit = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return None
    return limit if limit > 0 else None


def cgroup_limit(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> float | None:
    """The container's CPU limit in processors, or None: the tightest of this process's cgroups and their parents.

    Follows the kernel's Documentation/admin-guide/cgroup-v2.rst (cpu.max) and cgroup-v1 (cfs quota).
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    folders = [root, root / "cpu", root / "cpu,cpuacct"]
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number != "0" and "cpu" not in controllers.split(","):
            continue
        bases = [root] if number == "0" else [root / "cpu", root / controllers]
        for base in bases:
            folder = base
            for part in (part for part in path.split("/") if part not in ("", "..")):
                folder = folder / part
                folders.append(folder)
    limits = [limit for folder in folders if (limit := _limit_of(folder)) is not None]
    return min(limits, default=None)


def available_cpus() -> int:
    """Processors for this process: its CPU affinity, cut to the container's limit; at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = cgroup_limit()
    return max(1, affinity if limit is None else min(affinity, int(limit)))

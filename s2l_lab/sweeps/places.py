"""Where the runs of a sweep go: a GPU each, or a set of physical cores each, disjoint.

Two PyTorch processes that share cores are slower than one after the other, and a run's speed would depend on its
neighbours. So a process is pinned to its cores and told to use as many threads. Logical processors of one physical core
stay together. Only processors that this process may use count, so `taskset -c 0-7 s2l-lab sweep ...` leaves the rest.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from s2l_lab.errors import UsageError

TOPOLOGY = Path("/sys/devices/system/cpu")
GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Of NVIDIA, AMD, and a GPU within WSL. Without one, torch need not be asked, which would take seconds."""


@dataclass(frozen=True, slots=True)
class Place:
    """What one process of a sweep may use."""

    title: str
    environment: dict[str, str]
    processors: frozenset[int] = frozenset()
    """Logical processors it is pinned to; empty pins nothing."""


def places(workers: int | None) -> tuple[Place, ...]:
    """A place for each worker: as many as GPUs, or else physical cores, unless `workers` says fewer.

    Raises UsageError for more workers than there are of them, or none.
    """
    devices = gpus()
    cores = [] if devices else physical_cores()
    most, kind = (len(devices), "GPU") if devices else (len(cores), "core")
    wanted = most if workers is None else workers
    if not 1 <= wanted <= most:
        raise UsageError(f"{wanted} workers were asked for, and each needs a {kind} of its own: give 1 to {most}.")
    if devices:
        return tuple(Place(f"GPU {device}", {"CUDA_VISIBLE_DEVICES": device}) for device in devices[:wanted])
    return tuple(_on_cores(cores[at * most // wanted : (at + 1) * most // wanted]) for at in range(wanted))


def gpus() -> list[str]:
    """The values that CUDA_VISIBLE_DEVICES can take for one GPU each."""
    if not any(Path(device).exists() for device in GPU_DEVICES):
        return []
    import torch

    given = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    count = torch.cuda.device_count()
    return given[:count] if given else [str(index) for index in range(count)]


def physical_cores() -> list[frozenset[int]]:
    """Logical processors of each physical core that this process may use; each is one where the system does not say."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores: dict[str, set[int]] = {}
    for processor in sorted(usable):
        cores.setdefault(_core(processor), set()).add(processor)
    return [frozenset(core) for core in cores.values()]


def _core(processor: int) -> str:
    """A name that the processors of one physical core share."""
    try:
        return (TOPOLOGY / f"cpu{processor}" / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:
        return f"processor {processor}"


def _on_cores(cores: list[frozenset[int]]) -> Place:
    processors = frozenset[int]().union(*cores)
    names = ", ".join(map(str, sorted(processors)))
    threads = str(len(cores))
    return Place(
        f"core {names}" if len(processors) == 1 else f"cores {names}", {"OMP_NUM_THREADS": threads}, processors
    )

"""Describes the hardware on which a benchmark ran."""

import os
import platform

import psutil
import torch


def hardware() -> dict[str, object]:
    """Processor capability, cores, threads and memory; stored with every result."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
    }

"""The processor and the number of threads that models compute with; imports no torch."""

import os
import platform
from pathlib import Path


def processor() -> str:
    """The processor's name and vector extensions, if the system reports them."""
    info = Path("/proc/cpuinfo")  # Linux; platform.processor() is empty there
    if not info.is_file():
        return platform.processor() or platform.machine()
    lines = (line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in lines}
    vectors = [flag for flag in ("avx2", "avx512f", "amx_int8") if flag in facts.get("flags", "").split()]
    return " ".join([facts.get("model name", platform.machine()), *vectors])


def threads() -> int | None:
    """The number of threads set with OMP_NUM_THREADS, which torch reads too; None: each library's own, one a core."""
    outermost = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # "4,2": 4, and 2 in nested regions
    return int(outermost) if outermost.isdecimal() and int(outermost) else None

"""Memory that loading frees goes back to the system."""

import platform
import subprocess
import sys

import pytest

# A process of its own: in this one earlier tests have left memory that would be used again first.
PROGRAM = """
from pathlib import Path
from base_models.hardware import returning_freed_memory

def private():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if "RssAnon" in line)

bytearray(b"x") * 30_000_000  # freed at once; from then on glibc keeps blocks up to this size in its heap
with returning_freed_memory():
    before = private()
    blocks = [bytearray(b"x") * 3_000_000 for _ in range(100)]
    full = private() - before
    del blocks[::2]
    half = private() - before
print(full, half)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other systems' allocators are left as they are")
def test_what_is_freed_between_blocks_that_stay_goes_back():
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    full, half = map(int, told.split())  # kB
    assert full > 250_000
    assert half < 170_000

"""Memory that loading frees goes back to the system."""

import platform
from pathlib import Path

import pytest

from base_models.hardware import freeing_at_once


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other systems' allocators are left as they are")
def test_what_is_freed_between_blocks_that_stay_goes_back():
    def private() -> int:
        return next(
            int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "Anon" in line
        )

    with freeing_at_once():
        before = private()
        blocks = [bytearray(b"x") * 3_000_000 for _ in range(100)]
        assert private() - before > 250_000  # kB
        del blocks[::2]
        assert private() - before < 170_000
    del blocks

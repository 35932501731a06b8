"""The callback that reports the progress of long work."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the name of the work, the amount done and the total."""

"""Progress bars in the terminal: one for each kind of work, with rate and time left.

If the output is not a terminal (a log, CI), prints a plain line every few seconds instead.
"""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from finetune import Step

LOG_SECONDS = 15


class Bars:
    """A context in which :meth:`update` and :meth:`step` draw bars; Ctrl-C prints ``stopped``."""

    def __init__(self, stopped: str):
        self.stopped = stopped

    def __enter__(self) -> Self:
        self._drawn = sys.stderr.isatty()
        self._started: dict[str, float] = {}
        self._logged = 0.0
        self._ended: set[str] = set()
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
            disable=not self._drawn,
        )
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()
        if kind is KeyboardInterrupt:
            print(f"\nStopped; {self.stopped}", file=sys.stderr)

    def update(self, work: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` pieces of ``work`` are finished."""
        started = self._started.setdefault(work, time.monotonic())
        rate = done / max(time.monotonic() - started, 1e-9)
        left = (total - done) / rate if done else None
        self._show(work, done, total, f"{rate:.1f}/s" if done else "", left)

    def step(self, step: "Step") -> None:
        """Show an optimiser step."""
        detail = f"loss {step.loss:.3f}, {step.tokens_per_second:.0f} tokens/s"
        self._show("training", step.step, step.steps, detail, step.seconds_left)

    def _show(self, work: str, done: int, total: int, detail: str, left: float | None) -> None:
        if self._drawn:
            if work not in self._tasks:
                self._tasks[work] = self._bars.add_task(work, total=total, detail="")
            self._bars.update(self._tasks[work], completed=done, total=total, detail=detail)
        elif work not in self._ended and (done == total or time.monotonic() - self._logged > LOG_SECONDS):
            self._logged = time.monotonic()
            if done == total:
                self._ended.add(work)
            remaining = f", {left:.0f} s left" if left and done < total else ""
            print(f"{work}: {done}/{total} {detail}{remaining}", file=sys.stderr, flush=True)

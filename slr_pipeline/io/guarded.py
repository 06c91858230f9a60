"""Runs a function on untrusted files in a child process: a decoder is C code on foreign bytes."""

import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from slr_pipeline.errors import DataError, SlrError

T = TypeVar("T")


WAIT_S = 0.5
"""Time between two looks at the child process."""


class Guarded(Generic[T]):
    """Calls `function(path, ...)` in a child process, one call at a time.

    Raises a DataError that names the path if a call needs more than `seconds` of processor time,
    hangs as long without using any, ends its process (crash, out of memory) or raises anything but
    an SlrError. An SlrError is passed on unchanged. Processor time, because a suspended job, a slow
    disk or a busy machine says nothing about the file; for the same reason, a call that ended its
    process is made again once.
    """

    def __init__(self, function: Callable[..., T], seconds: int) -> None:
        self._function = function
        self._seconds = seconds
        self._process, self._pipe = _start(function, seconds)

    def __enter__(self) -> "Guarded[T]":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def __call__(self, path: str, *arguments: object) -> T:
        """Call the function; arguments and result are pickled."""
        for _ in range(2):
            hung = ""
            if not self._process.is_alive():
                self._process, self._pipe = _start(self._function, self._seconds)
            try:
                self._pipe.send((path, *arguments))
                hung = self._wait()
                result = self._pipe.recv()
            except (EOFError, OSError):
                self._process.join()
                reason = hung or self._exit_reason()
                continue
            if isinstance(result, SlrError):
                raise result
            return result  # type: ignore[no-any-return]
        raise DataError(f"{path}: {reason}")

    def _wait(self) -> str:
        """Wait for an answer or the end of the process; kill it and say why if it hangs."""
        used, idle_s = 0.0, 0.0
        while not self._pipe.poll(WAIT_S):
            # Counted in waits, not by a clock: while this process is suspended, none passes.
            before, used = used, _processor_time(self._process.pid)
            idle_s = idle_s + WAIT_S if used == before else 0.0
            if idle_s > self._seconds:
                self._process.kill()
                return (
                    f"its decoder does nothing for {self._seconds} s; check its disk, or copy it "
                    "again from its source"
                )
        return ""

    def _exit_reason(self) -> str:
        """Why the process ended, and what to do."""
        code = self._process.exitcode or 0
        if code == -signal.SIGPROF:
            return (
                f"takes more than {self._seconds} s of processor time to decode; cut or repair it, "
                "or raise verify.seconds_per_video"
            )
        how = signal.Signals(-code).name if code < 0 else f"status {code}"
        return f"ends its decoder ({how}); copy it again from its source, or re-encode it"


def _processor_time(pid: int | None) -> float:
    """Processor time of another process in seconds; 0.0 if it has ended or the system lacks it."""
    try:
        return time.clock_gettime((~(pid or 0) << 3) | 2)  # clock_getcpuclockid of Linux
    except OSError:
        return 0.0


def _start(
    function: Callable[..., T], seconds: int
) -> tuple["multiprocessing.process.BaseProcess", "Connection[Any, Any]"]:
    # spawn: a forked copy of this process would lack the threads that its libraries rely on.
    context = multiprocessing.get_context("spawn")
    parent_end, child_end = context.Pipe()
    process = context.Process(target=_serve, args=(function, seconds, child_end), daemon=True)
    process.start()
    child_end.close()
    return process, parent_end


def _serve(function: Callable[..., T], seconds: int, pipe: "Connection[Any, Any]") -> None:
    """Answer calls until the parent closes its end or exits."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    while True:
        try:
            path, *arguments = pipe.recv()
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_PROF, seconds)  # ends this process even inside C
        result: T | SlrError
        try:
            result = function(path, *arguments)
        except SlrError as error:
            result = error
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            result = DataError(f"{path}: cannot be read ({reason}); re-encode it")
        signal.setitimer(signal.ITIMER_PROF, 0)
        pipe.send(result)

"""Runs a function on untrusted files in a child process: a decoder is C code on foreign bytes."""

import multiprocessing
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from slr_pipeline.errors import DataError, SlrError

T = TypeVar("T")


class Guarded(Generic[T]):
    """Calls `function(path, ...)` in a child process, one call at a time.

    Raises a DataError that names the path if a call takes longer than `seconds`, ends its process
    (crash, out of memory) or raises anything but an SlrError. An SlrError is passed on unchanged.
    A process that has ended is replaced at the next call.
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
        if not self._process.is_alive():
            self._process, self._pipe = _start(self._function, self._seconds)
        try:
            self._pipe.send((path, *arguments))
            result = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join()
            raise DataError(f"{path}: {self._exit_reason()}") from error
        if isinstance(result, SlrError):
            raise result
        return result  # type: ignore[no-any-return]

    def _exit_reason(self) -> str:
        """Why the process ended, and what to do."""
        code = self._process.exitcode or 0
        if code == -signal.SIGALRM:
            return (
                f"takes more than {self._seconds} s to decode; cut or repair it, or raise "
                "verify.seconds_per_video"
            )
        how = signal.Signals(-code).name if code < 0 else f"status {code}"
        return f"ends its decoder ({how}); copy it again from its source, or re-encode it"


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
        signal.alarm(seconds)  # ends this process even if it hangs in C
        result: T | SlrError
        try:
            result = function(path, *arguments)
        except SlrError as error:
            result = error
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            result = DataError(f"{path}: cannot be read ({reason}); re-encode it")
        signal.alarm(0)
        pipe.send(result)

"""The saved state of an unfinished training, and the signals that stop one."""

import logging
import pickle
import signal
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch

from slr_pipeline.data.loading import STOP_SIGNALS
from slr_pipeline.errors import SlrError
from slr_pipeline.io.atomic import atomic_write

log = logging.getLogger(__name__)

DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, RuntimeError, TypeError, AttributeError),
    *(BadZipFile, struct.error, pickle.UnpicklingError),
)
"""What `zipfile` and `torch.load` raise for damaged or foreign files."""

SAVING_SHARE = 0.05
"""Largest share of the time of a training in which it saves its state at the end of epochs."""


class Interrupted(SlrError):  # noqa: N818 - nothing went wrong
    """A signal stopped the training; its state is saved."""


class TrainingState:
    """The file `state.pt` in `folder`, which the first save creates: values and tensors, no code.

    A new state replaces the file at once, so that a whole one is there whenever the process or the
    machine stops. A state with another `fingerprint`, of everything a training depends on, is not
    loaded.
    """

    def __init__(self, folder: str | Path, fingerprint: str, *, save_every_s: float = 600) -> None:
        self.folder = Path(folder)
        self._path = self.folder / "state.pt"
        self._fingerprint = fingerprint
        self._save_every_s = save_every_s
        self._saved_at_s = time.monotonic()
        self._save_took_s = 0.0

    def due(self, *, epoch_ends: bool) -> bool:
        """Whether it is time to save. Saving changes no bit of the training."""
        wait_s = self._save_every_s
        if epoch_ends:
            wait_s = min(wait_s, self._save_took_s / SAVING_SHARE)
        return time.monotonic() - self._saved_at_s >= wait_s

    def save(self, content: dict[str, Any]) -> None:
        """Replace the file. SlrError where it cannot be written; the older one then remains."""
        started_s = time.monotonic()
        try:
            # Given a path, torch would not say why it cannot write.
            with atomic_write(self._path) as partial, partial.open("wb") as file:
                torch.save({"fingerprint": self._fingerprint, "content": content}, file)
        except OSError as error:
            raise SlrError(
                f"{self._path}: cannot write the state of the training ({_line(error)}); fix that, "
                "then run the same command again: it resumes from the state before"
            ) from error
        self._saved_at_s = time.monotonic()
        self._save_took_s = self._saved_at_s - started_s

    def load(self) -> dict[str, Any] | None:
        """The last saved content, on the CPU; None without a whole file of this fingerprint."""
        try:
            with ZipFile(self._path) as file:
                damaged = file.testzip()  # torch itself does not verify the checksums
            if damaged is not None:
                raise BadZipFile(f"{damaged} is damaged")
            saved = torch.load(self._path, map_location="cpu", weights_only=True)
            fingerprint, content = saved["fingerprint"], dict(saved["content"])
        except FileNotFoundError:
            return None
        except DAMAGE as error:
            log.warning(
                "%s: ignored, a damaged state (%s); training starts anew", self._path, _line(error)
            )
            return None
        if fingerprint != self._fingerprint:
            log.warning(
                "%s: ignored, the state of a training with other settings or data; training "
                "starts anew",
                self._path,
            )
            return None
        return content

    def remove(self) -> None:
        """Delete the file, and the folder if it is empty then."""
        self._path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


@contextmanager
def record_signals() -> Iterator[list[str]]:
    """Within, SIGTERM and SIGUSR1 end nothing: their names are appended to the yielded list.

    Only the main thread can handle signals: in others none are recorded.
    """
    received: list[str] = []

    def record(number: int, frame: FrameType | None) -> None:
        received.append(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = [(number, signal.signal(number, record)) for number in STOP_SIGNALS]
    try:
        yield received
    finally:
        for number, handler in before:
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

"""The state of an unfinished training, kept so that it can go on, and the signals that ask for it.

Two files take turns, so that one is whole whenever the process or the machine stops.
"""

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
"""What `zipfile` and `torch.load` raise for files that are not what they should be."""


class Interrupted(SlrError):  # noqa: N818 - nothing went wrong
    """A signal stopped the training; its state is kept."""


class TrainingState:
    """`state-0.pt` and `state-1.pt` in `folder`: plain values and tensors, no code.

    Args:
        folder: made when first saved to.
        fingerprint: of all that a training is made from; a state with another one is not loaded.
        save_every_s: seconds from one save to the next within an epoch.
    """

    def __init__(self, folder: str | Path, fingerprint: str, *, save_every_s: float = 600) -> None:
        self.folder = Path(folder)
        self._paths = [self.folder / f"state-{number}.pt" for number in range(2)]
        self._fingerprint = fingerprint
        self._save_every_s = save_every_s
        self._saved_at_s = time.monotonic()
        self._counter = 0

    @property
    def due(self) -> bool:
        """Whether it is time to save. Saving changes no bit of the training."""
        return time.monotonic() - self._saved_at_s >= self._save_every_s

    def save(self, content: dict[str, Any]) -> None:
        """Write over the older one of the two files. SlrError where that is not possible."""
        path = self._paths[(self._counter + 1) % 2]
        whole = {"fingerprint": self._fingerprint, "counter": self._counter + 1, "content": content}
        try:
            # Given a name, torch would not tell why it could not write.
            with atomic_write(path) as partial, partial.open("wb") as file:
                torch.save(whole, file)
        except OSError as error:
            raise SlrError(
                f"{path}: the state of the training cannot be written ({_line(error)}); mend that, "
                "then the same command goes on from the state before"
            ) from error
        self._counter += 1
        self._saved_at_s = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """What was saved last, on the CPU; None without a whole file of this fingerprint."""
        self._counter, latest = 0, None
        for path in self._paths:
            found = self._read(path)
            if found is not None and found["counter"] > self._counter:
                self._counter, latest = found["counter"], found["content"]
        return latest

    def remove(self) -> None:
        """Delete the files, and the folder if nothing else is in it."""
        for path in self._paths:
            path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            with ZipFile(path) as file:
                damaged = file.testzip()  # torch itself does not look at the checksums
            if damaged is not None:
                raise BadZipFile(f"{damaged} is damaged")
            found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            foreign = found["fingerprint"] != self._fingerprint
        except FileNotFoundError:
            return None
        except DAMAGE as error:
            log.warning("%s: passed over, not a whole state (%s)", path, _line(error))
            return None
        if foreign:
            log.warning("%s: passed over, it is of a training with other settings or data", path)
            return None
        return found


@contextmanager
def noted_signals() -> Iterator[list[str]]:
    """Within, SIGTERM and SIGUSR1 end nothing: their names come into the list.

    Handlers belong to the main thread: in another one nothing is noted.
    """
    came: list[str] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = [(number, signal.signal(number, note)) for number in STOP_SIGNALS]
    try:
        yield came
    finally:
        for number, handler in before:
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

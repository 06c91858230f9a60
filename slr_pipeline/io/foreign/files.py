"""Reading files of other programs: a limit on their size, and one line for a damaged one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slr_pipeline.errors import ArtifactError, DataError, SlrError
from slr_pipeline.text import shown


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """The bytes of a file. DataError when it cannot be read, ArtifactError when it is too large."""
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    check_size(path, len(data), max_bytes)
    return data


def check_size(path: Path, size: int, max_bytes: int) -> None:
    """ArtifactError when a file, unpacked, has more than `max_bytes`."""
    if size > max_bytes:
        raise ArtifactError(
            f"{path}: has {size} bytes or more, at most {max_bytes} are read; split it up"
        )


@contextmanager
def reading(path: Path | str, kind: str) -> Iterator[None]:
    """Turn exceptions into an ArtifactError: a damaged file may raise any. An SlrError passes."""
    try:
        yield
    except SlrError:
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        reason = shown(text[:200])
        raise ArtifactError(
            f"{path}: not a complete {kind} ({reason}); copy it again from its source, or make it "
            "again"
        ) from error

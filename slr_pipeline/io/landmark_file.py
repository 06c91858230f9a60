"""Clips of Kaggle's `asl-signs`: a Parquet file of landmarks each, no video; needs pyarrow.

https://www.kaggle.com/competitions/asl-signs/data: columns `frame`, `row_id`, `type`,
`landmark_index`, `x`, `y`, `z`; in each frame 468 rows of the face, 21 of the left hand, 33 of the
pose and 21 of the right hand, as MediaPipe Holistic gives them. x and y are fractions of the width
and height of the picture, NaN where a part was not found. Neither its size nor the rate is given.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import INSTALL_FORMATS, ArtifactError, DataError, SlrError
from slr_pipeline.text import shown

if TYPE_CHECKING:
    import pandas as pd

SUFFIX: Final = ".parquet"

PICTURE_PX: Final = 512
"""Width and height of the drawn pictures."""
# ASSUME: square. The size is not published; the same error for all clips of a phone is no harm.

RATE: Final = 30.0
"""Frames per second."""
# ASSUME: that of most phones. Only the ratio to the rate of other clips matters.

MAX_BYTES: Final = 2**30

_PARTS: Final = {"pose": 33, "face": 468, "left_hand": 21, "right_hand": 21}
"""Landmarks of each part, in the order of `skeleton.HOLISTIC`."""
_FIRST: Final = {"pose": 0, "face": 33, "left_hand": 501, "right_hand": 522}
_COUNT: Final = 543


def is_landmark_file(path: str | Path) -> bool:
    """Whether a path names a clip of landmarks."""
    return str(path).lower().endswith(SUFFIX)


def read_landmarks(path: str | Path) -> NDArray[np.float32]:
    """Landmarks (T, 543, 2) in the order of `skeleton.HOLISTIC`: x and y, NaN if missing.

    T is the number of frames in the file, in the order of their numbers. DataError when it cannot
    be read, ArtifactError for a damaged or other file, SlrError without pyarrow.
    """
    table = _read(Path(path))
    if table.empty:
        raise ArtifactError(f"{path}: has no frames; copy it again from its source")
    first, count = (table["type"].map(part) for part in (_FIRST, _PARTS))
    index = table["landmark_index"]
    if count.isna().any() or not index.between(0, count - 1).all():
        raise ArtifactError(
            f"{path}: a landmark is not one of Holistic's 543; expected files of asl-signs"
        )
    numbers, frame = np.unique(table["frame"].to_numpy(), return_inverse=True)
    place = frame * _COUNT + (first + index).to_numpy(np.int64)
    if len(place) != len(numbers) * _COUNT or len(set(place)) != len(place):
        raise ArtifactError(
            f"{path}: {len(table)} rows for {len(numbers)} frames; expected {_COUNT} for each, "
            "copy it again from its source"
        )
    landmarks = np.empty((len(numbers) * _COUNT, 2), np.float32)
    landmarks[place] = table[["x", "y"]].to_numpy(np.float32)
    return landmarks.reshape(len(numbers), _COUNT, 2)


def _read(path: Path) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415

    try:
        if path.stat().st_size > MAX_BYTES:
            raise ArtifactError(f"{path}: has more than {MAX_BYTES} bytes; split it up")
        columns = ["frame", "type", "landmark_index", "x", "y"]
        return pd.read_parquet(path, engine="pyarrow", columns=columns)
    except ImportError as error:
        raise SlrError(f"{SUFFIX} files need pyarrow: {INSTALL_FORMATS}") from error
    except OSError as error:
        if error.strerror is not None:
            raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
        raise _damaged(path, error) from error
    except SlrError:
        raise
    except Exception as error:  # a damaged file may raise any
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ArtifactError:
    reason = shown(" ".join(str(error).split())[:200])
    return ArtifactError(
        f"{path}: not a complete Parquet file of landmarks ({reason}); copy it again from its "
        "source"
    )


def drawn(path: str | Path) -> Iterator[NDArray[np.uint8]]:
    """Pictures RGB (512, 512, 3) of the landmarks of each frame: light points on black."""
    for points in read_landmarks(path):
        picture = np.zeros((PICTURE_PX, PICTURE_PX, 3), np.uint8)
        for part, first in _FIRST.items():
            radius = {"pose": 6, "face": 2}.get(part, 4)
            for x, y in points[first : first + _PARTS[part]]:
                if 0 <= x <= 1 and 0 <= y <= 1:  # not NaN
                    centre = (int(x * (PICTURE_PX - 1)), int(y * (PICTURE_PX - 1)))
                    cv2.circle(picture, centre, radius, (230, 230, 230), -1)
        yield picture

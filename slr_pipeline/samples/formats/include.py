"""INCLUDE: `Category/51. Good Morning/MVI_0099.MOV`, and lists of such paths.

https://zenodo.org/record/4010759, and `train_test_paths/include_train.txt`, `include50_val.txt`,
... of https://github.com/AI4Bharat/INCLUDE: a path per line. The sign is the folder without its
number. Signers are not published.
"""

import re
from pathlib import Path, PurePosixPath

from slr_pipeline.config.experiment import SPLITS
from slr_pipeline.errors import DataError
from slr_pipeline.samples.csv_rows import decode, read_bytes
from slr_pipeline.samples.formats.listing import Listed, Listing, Videos, find_lists
from slr_pipeline.text import composed

LISTS = tuple(f"include{size}_{split}.txt" for size in ("", "50") for split in SPLITS)


def read(place: Path, videos: Videos, top: int | None) -> Listing:
    """The samples of the lists of INCLUDE, or of INCLUDE-50 with `top` 50."""
    size = {None: "", 50: "50"}.get(top)
    if size is None:
        raise DataError(f"--top {top}: INCLUDE has lists of all signs and of 50; use --top 50")
    samples = []
    for split in SPLITS:
        path = str(find_lists(place, [f"include{size}_{split}.txt"])[0])
        for line in filter(str.strip, decode(path, read_bytes(path)).splitlines()):
            pure = PurePosixPath(line.strip())
            if len(pure.parts) < 2:
                raise DataError(f"{path}: {line[:80]!r} is not Category/51. Sign/MVI_0099.MOV")
            label = composed(re.sub(r"^\d+\.\s*", "", pure.parent.name))
            name = f"{label}_{pure.stem}"
            samples.append(Listed(name, split, label, "", videos.find(str(pure))))
    return Listing(samples)

"""LSA64: `{sign}_{signer}_{repetition}.mp4`, such as `001_003_004.mp4`; it has no lists.

https://facundoq.github.io/datasets/lsa64/: 64 signs, 10 signers, 5 repetitions. The split is that
of OpenHands (https://github.com/AI4Bharat/OpenHands): signers 1 to 8 train, 9 val, 10 test.
"""

import re
from pathlib import Path, PurePosixPath

from slr_pipeline.errors import DataError
from slr_pipeline.samples.formats.listing import Listed, Listing, Videos

NAME = re.compile(r"(\d{3})_(\d{3})_(\d{3})")
SPLIT_NOTE = "split by signer as in OpenHands: 1 to 8 train, 9 val, 10 test"


def read(place: Path, videos: Videos, top: int | None) -> Listing:
    """The samples of all videos with such a name."""
    samples = []
    for video in videos.paths:
        name = PurePosixPath(video).stem
        if found := NAME.fullmatch(name):
            sign, signer = found[1], int(found[2])
            split = "train" if signer <= 8 else "val" if signer == 9 else "test"
            samples.append(Listed(name, split, f"sign {sign}", str(signer), video))
    if not samples:
        raise DataError(f"{videos.folder}: no video has a name such as 001_003_004.mp4")
    return Listing(samples, [SPLIT_NOTE])

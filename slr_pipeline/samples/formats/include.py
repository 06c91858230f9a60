"""INCLUDE: `Category/51. Good Morning/MVI_0099.MOV`, and lists of such paths.

https://zenodo.org/record/4010759, and `train_test_paths/include_train.txt`, `include50_val.txt`,
... of https://github.com/AI4Bharat/INCLUDE: a path per line. The sign is the folder without its
number. Signers are not published. Without the lists, all videos in such folders are samples.
"""

import re
from pathlib import Path, PurePosixPath

from slr_pipeline.config.experiment import SPLITS
from slr_pipeline.errors import DataError
from slr_pipeline.samples.csv_rows import decode, read_bytes
from slr_pipeline.samples.formats.listing import Listed, Listing, Videos, find_lists
from slr_pipeline.text import composed

FOLDER = re.compile(r"\d+\.\s*(.+)")
"""A folder of the videos of a sign."""


def read(place: Path, videos: Videos, top: int | None) -> Listing:
    """The samples of the lists of INCLUDE, or of INCLUDE-50 with `top` 50.

    Without any list of INCLUDE, those of the folders, without a split.
    """
    size = {None: "", 50: "50"}.get(top)
    if size is None:
        raise DataError(f"--top {top}: INCLUDE has lists of all signs and of 50; use --top 50")
    if top is None and place.is_dir() and not any(place.rglob("include*_*.txt")):
        return _by_folder(place, videos)
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


def _by_folder(place: Path, videos: Videos) -> Listing:
    samples = []
    for video in videos.paths:
        path = PurePosixPath(video)
        if found := FOLDER.fullmatch(path.parent.name):
            label = composed(found[1])
            samples.append(Listed(f"{label}_{path.stem}", "", label, "", video))
    if not samples:
        raise DataError(
            f"{videos.folder}: no video is in a folder such as Animals/4. Bird, and {place} has no "
            "include_train.txt; give the folder of INCLUDE's videos with --videos"
        )
    note = (
        f"{place} has no include_train.txt, include_val.txt and include_test.txt: the split is not "
        "that of INCLUDE, and results do not compare with published ones"
    )
    return Listing(samples, [note])

"""ASL Citizen: `splits/train.csv`, `val.csv`, `test.csv` beside the folder `videos`.

https://www.microsoft.com/en-us/research/project/asl-citizen/: columns `Participant ID`, `Video
file`, `Gloss` and `ASL-LEX Code`. The gloss is the class: names of videos are not reliable.
"""

from pathlib import Path, PurePosixPath

from slr_pipeline.config.experiment import SPLITS
from slr_pipeline.errors import DataError
from slr_pipeline.samples.csv_rows import csv_table, decode, read_bytes
from slr_pipeline.samples.formats.listing import Listed, Listing, Videos, find_lists

LISTS = ("train.csv", "val.csv", "test.csv")
COLUMNS = ("participant id", "video file", "gloss", "asl-lex code")


def read(place: Path, videos: Videos, top: int | None) -> Listing:
    """The samples of all three lists."""
    samples = []
    paths: dict[str, Path] = {}
    for path in find_lists(place, LISTS):
        paths.setdefault(path.stem, path)
    for split in SPLITS:
        if split not in paths:
            raise DataError(f"{place}: no {split}.csv beside the other lists; download it again")
        where = str(paths[split])
        rows = csv_table(where, decode(where, read_bytes(where)), COLUMNS, COLUMNS[:3])
        for _, (signer, video, gloss, _) in rows:
            name = PurePosixPath(video).stem
            samples.append(Listed(name, split, gloss, signer, videos.find(video)))
    return Listing(samples)

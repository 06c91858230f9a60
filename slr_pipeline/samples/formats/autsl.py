"""AUTSL: `train/signer0_sample1_color.mp4`, `_depth.mp4`, and its lists of labels.

https://chalearnlap.cvc.uab.cat/dataset/40/description/: `train_labels.csv`,
`validation_labels.csv`, `test_labels.csv` with name and class number, and
`SignList_ClassId_TR_EN.csv`. The order of the classes is kept in `classes.txt`.
"""

from pathlib import Path

from slr_pipeline.errors import DataError
from slr_pipeline.samples.csv_rows import csv_rows, decode, read_bytes
from slr_pipeline.samples.formats.listing import Listed, Listing, Videos, find_lists
from slr_pipeline.samples.table import AUTSL_NAME
from slr_pipeline.text import composed

CLASSES = "SignList_ClassId_TR_EN.csv"
LISTS = {"train": "train_labels.csv", "val": "validation_labels.csv", "test": "test_labels.csv"}


def read(place: Path, videos: Videos, top: int | None) -> Listing:
    """The samples of the three lists, with depth where it is there."""
    path = str(find_lists(place, [CLASSES])[0])
    rows = list(csv_rows(path, decode(path, read_bytes(path)), columns=3))
    glosses = {row[0]: composed(row[1].strip()) for _, row in rows if row[0] != "ClassId"}
    samples = []
    for split, file in LISTS.items():
        path = str(find_lists(place, [file])[0])
        for line, (name, number) in csv_rows(path, decode(path, read_bytes(path)), columns=2):
            found = AUTSL_NAME.fullmatch(name)
            if number not in glosses or not found:
                raise DataError(f"{path}, line {line}: expected signer0_sample1 and a class number")
            color, depth = (videos.find(f"{name}_{kind}.mp4") for kind in ("color", "depth"))
            samples.append(Listed(name, split, glosses[number], found[1], color, depth))
    return Listing(samples, classes=tuple(glosses.values()))

"""Kaggle's `asl-signs` (Google, Isolated Sign Language Recognition): `train.csv`, no videos.

https://www.kaggle.com/competitions/asl-signs/data: columns `path`, `participant_id`, `sequence_id`
and `sign`. The clips are `train_landmark_files/{participant_id}/{sequence_id}.parquet`.
"""

from pathlib import Path

from slr_pipeline.samples.csv_rows import csv_table, decode, read_bytes
from slr_pipeline.samples.formats.listing import Listed, Listing, Videos, find_lists

COLUMNS = ("path", "participant_id", "sequence_id", "sign")


def read(place: Path, videos: Videos, choice: None) -> Listing:
    """The samples of the list; it has no split."""
    samples = []
    for path in find_lists(place, ("train.csv",)):
        rows = csv_table(str(path), decode(str(path), read_bytes(str(path))), COLUMNS, COLUMNS)
        for _, (clip, signer, name, sign) in rows:
            samples.append(Listed(name, "", sign, signer, videos.find(clip)))
    return Listing(samples, landmarks="**/{sample}.parquet")

"""MS-ASL: `MSASL_train.json`, `MSASL_val.json`, `MSASL_test.json`.

https://www.microsoft.com/en-us/research/project/ms-asl/ and the README of its download: a list of
clips with `url` (YouTube), `start_time`, `end_time` (s), `label` (number of the class: MS-ASL100
are the labels below 100), `clean_text` (the class) and `signer_id`. Videos are named by YouTube's
id, as yt-dlp names them with `-o "%(id)s.%(ext)s"`.
"""

from pathlib import Path
from typing import Any

from slr_pipeline.errors import DataError
from slr_pipeline.samples.formats.listing import (
    Listed,
    Listing,
    Videos,
    find_lists,
    read_json,
    text_of,
)
from slr_pipeline.samples.formats.wlasl import YOUTUBE_ID
from slr_pipeline.samples.segments import Segment

LISTS = ("MSASL_train.json", "MSASL_val.json", "MSASL_test.json")


def read(place: Path, videos: Videos, top: int | None) -> Listing:
    """The samples of the first `top` classes, each a segment of its video."""
    samples = []
    for path in sorted(find_lists(place, LISTS), key=lambda path: LISTS.index(path.name)):
        split = path.stem.removeprefix("MSASL_")
        content = read_json(path)
        if not isinstance(content, list):
            raise DataError(f"{path}: not a list of clips; download it again")
        for number, clip in enumerate(content, start=1):
            where = f"{path}, clip {number}"
            label = text_of(clip, "label", where)
            if not label.isdecimal():
                raise DataError(f"{where}: label {label[:40]!r} is no number; download it again")
            if top is None or int(label) < top:
                samples.append(_listed(clip, f"{split}_{number:05d}", split, videos, where))
    return Listing(samples)


def _listed(clip: dict[str, Any], name: str, split: str, videos: Videos, where: str) -> Listed:
    found = YOUTUBE_ID.search(text_of(clip, "url", where))
    if not found:
        raise DataError(f"{where}: {clip['url']!r} is no video of YouTube")
    try:
        start, end = (round(float(text_of(clip, k, where)), 3) for k in ("start_time", "end_time"))
    except ValueError as error:
        raise DataError(f"{where}: start_time and end_time are no numbers") from error
    label, signer = text_of(clip, "clean_text", where), text_of(clip, "signer_id", where)
    video = videos.find(f"{found[1]}.mp4")
    return Listed(name, split, label, signer, video, segment=Segment(max(0.0, start), end))

"""WLASL: `WLASL_v0.3.json` or `nslt_100.json`, ... of https://github.com/dxli94/WLASL.

Its README: WLASL_v0.3.json is a list of glosses with `instances`: `video_id`, `split`, `signer_id`,
`url`, `frame_start` and `frame_end`, which count from 1 and include the last; -1 is the end.
WLASL-100 are its first 100 glosses. nslt_N.json maps a video_id to its `subset` and `action`: the
number of the class, first and last frame.

Its scripts cut the clips: `videos/{video_id}.mp4`. Frame numbers are of the uncut videos of
YouTube, `raw_videos/{YouTube's id}.mp4`; other uncut videos are their clips.
"""

import re
from collections.abc import Iterator
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
from slr_pipeline.samples.segments import Segment

LISTS = ("WLASL*.json", "nslt_*.json")
YOUTUBE_ID = re.compile(r"(?:v=|youtu\.be/|embed/)([\w-]{11})")


def read(place: Path, videos: Videos, top: int | None) -> Listing:
    """The samples of the first `top` glosses. The list of glosses is preferred to nslt_N.json."""
    lists = find_lists(place, LISTS)
    named = [path for path in lists if not path.name.startswith("nslt_")]
    path = (named or lists)[0]
    content = read_json(path)
    if isinstance(content, list):
        return Listing(list(_by_gloss(path, content[:top], videos)))
    if not isinstance(content, dict):
        raise DataError(f"{path}: neither a list of glosses nor an object of videos")
    samples = list(_by_number(path, content, videos, top))
    note = f"{path} has numbers instead of glosses; with WLASL_v0.3.json signs have names"
    return Listing(samples, [note])


def _by_gloss(path: Path, glosses: list[Any], videos: Videos) -> Iterator[Listed]:
    for gloss in glosses:
        label = text_of(gloss, "gloss", str(path))
        instances = gloss.get("instances")
        for instance in instances if isinstance(instances, list) else ():
            name = text_of(instance, "video_id", f"{path}, {label}")
            split = text_of(instance, "split", f"{path}, {name}")
            signer = text_of(instance, "signer_id", f"{path}, {name}")
            video, segment = _clip(name, videos), None
            youtube = YOUTUBE_ID.search(str(instance.get("url", "")))
            if not video and youtube and (video := videos.find(f"{youtube[1]}.mp4")):
                segment = _frames(instance, videos.rate(video))
            yield Listed(name, split, label, signer, video, segment=segment)


def _clip(name: str, videos: Videos) -> str:
    """A clip that is cut is preferred to the uncut video of the same name."""
    return videos.find(f"videos/{name}.mp4") or videos.find(f"{name}.mp4")


def _frames(instance: dict[str, Any], rate: float) -> Segment | None:
    first, last = instance.get("frame_start", 1), instance.get("frame_end", -1)
    if not isinstance(first, int) or not isinstance(last, int) or not rate:
        raise DataError(f"{str(instance)[:80]}: frames {first} to {last} at {rate} frames/s")
    start = round(max(0, first - 1) / rate, 3)
    if last < first:
        return Segment(start) if start else None
    return Segment(start, round(last / rate, 3))


def _by_number(
    path: Path, content: dict[str, Any], videos: Videos, top: int | None
) -> Iterator[Listed]:
    for name, entry in content.items():
        split = text_of(entry, "subset", f"{path}, {name}")
        action = entry.get("action")
        if not isinstance(action, list) or not action or not isinstance(action[0], int):
            raise DataError(f"{path}, {name}: no `action` with a class number; download it again")
        if top is None or action[0] < top:
            label = f"class {action[0]}"
            yield Listed(name, split, label, "", _clip(name, videos))

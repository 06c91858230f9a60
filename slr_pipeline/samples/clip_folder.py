"""A folder of one's own videos, and what they show: by sub-folders, or by a three-column CSV."""

import csv
import difflib
import io
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from slr_pipeline.errors import DataError
from slr_pipeline.samples.table import composed

VIDEO_SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov"),
    *(".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".webm", ".wmv"),
)
LABEL_COLUMNS = ("video", "label", "signer")
LEAST_CLIPS = 3
"""Clips a sign needs: one to learn from, one to pick the epoch, one to be tested by."""

_UNLIKE_ASCII = str.maketrans(
    {"ı": "i", "ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "ł": "l", "Ł": "L", "đ": "d"}
)
"""Letters that have no ASCII letter and accent in them, as the others of Latin scripts have."""


@dataclass(frozen=True)
class OwnClip:
    """A video, by its path below the folder, and what it shows; `signer` is empty if unknown."""

    video: str
    label: str
    signer: str = ""


def find_videos(folder: str | Path) -> list[str]:
    """Paths below a folder of all video files in it, sorted; hidden ones are left out.

    DataError without any, and for a name that a table cannot hold.
    """
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: no such folder; name the folder that your videos are in")
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            (Path(place) / name).relative_to(folder).as_posix()
            for name in files
            if Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith(".")
        ]
    if not found:
        raise DataError(
            f"{folder}: no video in it or in its sub-folders; known are files that end in "
            + ", ".join(VIDEO_SUFFIXES)
        )
    for video in found:
        if not video.isprintable() or video != video.strip():
            raise DataError(
                f"{folder}: the name {video!a} begins with a space or has signs that are no text; "
                "rename it"
            )
    return sorted(found)


def clips_by_folder(folder: str | Path, videos: Iterable[str]) -> list[OwnClip]:
    """Clips whose sign is the sub-folder they are in. DataError for one that is in none."""
    clips = []
    for video in videos:
        sign, *below = video.split("/")
        if not below:
            raise DataError(
                f"{folder}: {video} is in no sub-folder named as its sign; put each video in one, "
                f"or name a CSV of {','.join(LABEL_COLUMNS)} with --labels"
            )
        clips.append(OwnClip(video, composed(sign).strip()))
    return clips


def clips_by_table(
    path: str | Path, folder: str | Path, videos: Sequence[str]
) -> tuple[list[OwnClip], list[str]]:
    """The clips that a CSV of `video,label,signer` names, and the videos that it does not name.

    A video is named by its path below the folder or, where no other has the same, by its file name;
    with its ending or without. DataError with the line for a video that is not there or stands
    twice, and for whatever `read_labels` refuses.
    """
    named: dict[str, list[str]] = {}
    for video in videos:
        whole = PurePosixPath(composed(video))
        bare = whole.with_suffix("")
        for name in {str(whole), whole.name, str(bare), bare.name}:
            named.setdefault(name, []).append(video)
    exact = {composed(video): video for video in videos}
    lines: dict[str, int] = {}
    clips = []
    for line, name, label, signer in read_labels(path):
        fitting = [exact[name]] if name in exact else named.get(name, [])
        if len(fitting) != 1:
            raise DataError(f"{path}, line {line}: {_unclear(name, fitting, folder, named)}")
        video = fitting[0]
        if video in lines:
            raise DataError(
                f"{path}, line {line}: {video} is named in line {lines[video]}, too; remove one"
            )
        lines[video] = line
        clips.append(OwnClip(video, label, signer))
    return clips, [video for video in videos if video not in lines]


def read_labels(path: str | Path) -> list[tuple[int, str, str, str]]:
    """Line, video, label and signer of each row of a CSV of `video,label,signer`.

    It is what spreadsheets write: separated by commas, semicolons or tabs, UTF-8 with a byte order
    mark or without; empty rows are passed over. The column signer may be left out.

    DataError for a file that cannot be read, another encoding, another header, a row of another
    length, with control characters, or without video or label.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check --labels") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text; save it in the spreadsheet as `CSV UTF-8`"
        ) from error
    separator = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV ({error}); save it as one") from error
    rows = [(line, cells) for line, cells in rows if any(cells)]
    header = [name.lower() for name in rows[0][1]] if rows else []
    if sorted(header) not in (sorted(LABEL_COLUMNS), sorted(LABEL_COLUMNS[:2])) or len(rows) < 2:
        raise DataError(
            f"{path}: expected a header of {','.join(LABEL_COLUMNS)} and rows, found "
            f"{','.join(header)[:100]!r} and {max(len(rows) - 1, 0)} rows"
        )
    return [(line, *_cells(path, line, header, cells)) for line, cells in rows[1:]]


def check_clips(where: str | Path, clips: Sequence[OwnClip]) -> None:
    """DataError for clips that no model can learn from, or whose labels cannot be meant so."""
    signs = Counter(clip.label for clip in clips)
    _check_spelling(where, "label", signs)
    _check_spelling(where, "signer", [clip.signer for clip in clips])
    if len(signs) < 2:
        raise DataError(
            f"{where}: all {len(clips)} clips are of the sign {next(iter(signs))!r}; telling signs "
            "apart needs two or more"
        )
    few = sorted(sign for sign, count in signs.items() if count < LEAST_CLIPS)
    if few:
        raise DataError(
            f"{where}: {LEAST_CLIPS} clips of each sign are needed, and {len(few)} signs have "
            f"fewer ({', '.join(few[:10])}); film more, or take these out"
        )
    numbered = all(sign.isascii() and sign.isdigit() for sign in signs)
    if numbered and signs.keys() != {str(number) for number in range(len(signs))}:
        raise DataError(
            f"{where}: the labels are numbers but not 0 to {len(signs) - 1}; number the "
            f"{len(signs)} signs so, or name them by words"
        )


def sample_names(videos: Sequence[str]) -> list[str]:
    """A valid name for each video (N), no two alike, made of its file name in ASCII.

    Where two file names give the same, all names begin with the folders of the videos.
    """
    names = [_ascii_name(PurePosixPath(video).stem) for video in videos]
    if len({name.lower() for name in names}) < len(names):
        names = [_ascii_name(str(PurePosixPath(video).with_suffix(""))) for video in videos]
    given: dict[str, str] = {}  # by what they are where capitals do not count
    for name in names:
        number, own = 1, name
        while own.lower() in given:
            number += 1
            own = f"{name}-{number}"
        given[own.lower()] = own
    return list(given.values())


def _cells(
    path: str | Path, line: int, header: Sequence[str], cells: Sequence[str]
) -> tuple[str, str, str]:
    """Video, label and signer of a row."""
    if len(cells) != len(header):
        raise DataError(
            f"{path}, line {line}: expected {len(header)} cells, found {len(cells)}; put a cell "
            "with the separator in it in quotes"
        )
    if not "".join(cells).isprintable():
        raise DataError(f"{path}, line {line}: a line break or control character; take it out")
    row = dict(zip(header, map(composed, cells), strict=True))
    for column in LABEL_COLUMNS[:2]:
        if not row[column]:
            raise DataError(f"{path}, line {line}: no {column}; write one, or remove the line")
    return row["video"].replace("\\", "/"), row["label"], row.get("signer", "")


def _unclear(name: str, fitting: Sequence[str], folder: str | Path, named: Iterable[str]) -> str:
    """Why a name is not that of one video, and what to do."""
    if fitting:
        return f"{name!r} may be {' or '.join(fitting[:5])}; write the path below {folder}"
    near = difflib.get_close_matches(name, named, n=1)
    meant = f"; is it {near[0]!r}?" if near else "; write its name as it is there"
    return f"no video {name[:140]!r} in {folder}{meant}"


def _check_spelling(where: str | Path, column: str, texts: Iterable[str]) -> None:
    """DataError for two texts that differ in capitals alone: they are one, typed by hand."""
    seen: dict[str, str] = {}
    for text in texts:
        other = seen.setdefault(text.casefold(), text)
        if other != text:
            raise DataError(
                f"{where}: {column}s {other!r} and {text!r} differ in capitals only; write one so"
            )


def _ascii_name(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.translate(_UNLIKE_ASCII))
    plain = plain.encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:100] or "clip"

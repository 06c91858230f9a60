"""A folder of videos with their labels: from sub-folders, or from a CSV of three columns."""

import difflib
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from slr_pipeline.errors import DataError
from slr_pipeline.samples.csv_rows import csv_table, decode, read_bytes
from slr_pipeline.samples.spelling import DATES, is_date, one_spelling, spelling_warnings
from slr_pipeline.text import composed, outline, plain, refused_character

VIDEO_SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov"),
    *(".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".webm", ".wmv"),
    ".parquet",  # landmarks instead of a video: io/landmark_file.py
)
LABEL_COLUMNS = ("video", "label", "signer")
LEAST_CLIPS = 3
"""Clips a sign needs: one each for train, val and test."""

_ASCII_LETTERS = str.maketrans(
    {"ı": "i", "ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "ł": "l", "Ł": "L", "đ": "d"}
)
"""Latin letters that Unicode does not decompose into an ASCII letter and an accent."""


@dataclass(frozen=True)
class OwnClip:
    """A video, by its path below the folder, and its label; `signer` is empty if unknown."""

    video: str
    label: str
    signer: str = ""


def find_videos(folder: str | Path) -> tuple[list[str], dict[str, list[str]]]:
    """The paths of all video files below a folder, sorted; and what is left out, by reason.

    Links are followed. DataError if there is no video, or if a table cannot hold a name.
    """
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: no such folder; give the folder of your videos")
    files, left_out = _walk(folder)
    videos: list[str] = []
    for file in files:
        hidden = _is_hidden(file)
        is_video = PurePosixPath(file).suffix.lower() in VIDEO_SUFFIXES
        if hidden and is_video:
            left_out["hidden by a dot"].append(file)
        elif not hidden and not os.path.exists(os.path.join(folder, file)):
            left_out["links to nothing"].append(file)
        elif not hidden:
            (videos if is_video else left_out["not videos"]).append(file)
    if not videos:
        why = "; ".join(f"{reason}: {', '.join(names[:5])}" for reason, names in left_out.items())
        raise DataError(
            f"{folder}: no video in it or in its sub-folders; video files end in "
            f"{', '.join(VIDEO_SUFFIXES)}{why and f' (left out, {why})'}"
        )
    for video in videos:
        check_name(video)
        if video != video.strip():
            raise DataError(f"{folder}: the name {video!r} begins or ends with a blank; rename it")
    return videos, left_out


def _walk(folder: str | Path) -> tuple[list[str], dict[str, list[str]]]:
    """The files below a folder, sorted, and the folders that are left out, by reason.

    Each folder is read once, and none that contains `folder`, so that links in a circle end.
    """
    left_out: dict[str, list[str]] = defaultdict(list)
    root = os.path.realpath(folder)
    files, read = [], {root}

    def note(error: OSError) -> None:
        unreadable = os.path.relpath(error.filename, folder)
        left_out["folders that cannot be read"].append(unreadable)

    for path, names, below in os.walk(folder, followlinks=True, onerror=note):
        place = PurePosixPath(os.path.relpath(path, folder))
        files += [str(place / name) for name in below]
        if not (names or below or _is_hidden(str(place))):
            left_out["empty folders"].append(str(place))
        for name in sorted(names):
            real = os.path.realpath(os.path.join(path, name))
            if real in read or os.path.commonpath([real, root]) == real:
                names.remove(name)
                left_out["links to a folder that is read anyway"].append(str(place / name))
            read.add(real)
    return sorted(files), left_out


def _is_hidden(path: str) -> bool:
    """Whether a file or one of its folders has a name that begins with a dot."""
    return any(part.startswith(".") for part in path.split("/") if part != ".")


def check_name(path: str | Path) -> None:
    """DataError for a name that neither a table nor a terminal can show."""
    if bad := refused_character(str(path)):
        raise DataError(
            f"{str(path)!r}: the name has a control character or undecodable byte ({bad}); rename "
            "the file"
        )


def clips_by_folder(folder: str | Path, videos: Iterable[str]) -> list[OwnClip]:
    """Clips whose label is their sub-folder. DataError for a video in no sub-folder."""
    clips = []
    for video in videos:
        label, *below = video.split("/")
        if not below:
            raise DataError(
                f"{folder}: {video} is in no sub-folder; put each video in one named as its sign, "
                f"or give a CSV of {','.join(LABEL_COLUMNS)} with --labels"
            )
        clips.append(OwnClip(video, composed(label)))
    return clips


def clips_by_table(
    path: str | Path, folder: str | Path, videos: Sequence[str]
) -> tuple[list[OwnClip], list[str]]:
    """The clips of a CSV of `video,label,signer`, and the videos that it does not name.

    A video is named by its path below the folder or, if unique, by its file name, with or without
    its ending. DataError with the line for a video that does not exist or appears twice, and for
    whatever `read_labels` refuses.
    """
    named: dict[str, list[str]] = {}
    for video in videos:
        whole = PurePosixPath(plain(video))
        bare = whole.with_suffix("")
        for name in {str(whole), whole.name, str(bare), bare.name}:
            named.setdefault(name, []).append(video)
    exact = {composed(video): video for video in videos}
    lines: dict[str, int] = {}
    clips = []
    for line, name, label, signer in read_labels(path):
        fitting = [exact[name]] if name in exact else named.get(plain(name), [])
        if len(fitting) != 1:
            raise DataError(f"{path}, line {line}: {_explain(name, fitting, folder, named)}")
        video = fitting[0]
        if video in lines:
            raise DataError(
                f"{path}, line {line}: {video} appears in line {lines[video]} too; remove one"
            )
        lines[video] = line
        clips.append(OwnClip(video, label, signer))
    return clips, [video for video in videos if video not in lines]


def read_labels(path: str | Path) -> list[tuple[int, str, str, str]]:
    """Line, video, label and signer of each row of a CSV of `video,label,signer`.

    The CSV is one that `csv_table` reads, in UTF-8 with or without a byte order mark; empty rows
    are skipped. The column signer is optional.

    DataError for an unreadable file, another encoding or header, a row of another length, control
    characters, and a row without video or label.
    """
    text = decode(str(path), read_bytes(str(path)))
    rows = []
    columns, required = LABEL_COLUMNS, LABEL_COLUMNS[:2]
    for line, cells in csv_table(str(path), text, columns, required):
        video, label, signer = map(composed, cells)
        for column, cell in zip(required, (video, label), strict=True):
            if not plain(cell):
                raise DataError(f"{path}, line {line}: no {column}; add it, or remove the line")
        rows.append((line, video.replace("\\", "/"), label, signer))
    return rows


def respell(clips: Sequence[OwnClip]) -> tuple[list[OwnClip], tuple[str, ...]]:
    """The clips with one spelling of each label and signer, and what else looks alike."""
    labels = one_spelling(clip.label for clip in clips)
    signers = one_spelling((clip.signer for clip in clips), outline)
    respelled = [OwnClip(clip.video, labels[clip.label], signers[clip.signer]) for clip in clips]
    return respelled, spelling_warnings(labels.values(), signers)


def check_clips(where: str | Path, clips: Sequence[OwnClip]) -> None:
    """DataError for clips that no model can learn from."""
    counts = Counter(clip.label for clip in clips)
    if len(counts) < 2:
        raise DataError(
            f"{where}: all {len(clips)} clips are of the sign {next(iter(counts))!r}; recognition "
            "needs two signs or more"
        )
    few = sorted(label for label, count in counts.items() if count < LEAST_CLIPS)
    if few:
        raise DataError(
            f"{where}: each sign needs {LEAST_CLIPS} clips, and {len(few)} signs have fewer "
            f"({', '.join(few[:10])}); film more, or remove these signs"
        )
    if all(label.isascii() and label.isdigit() for label in counts):
        numbers = {label.lstrip("0") or "0" for label in counts}
        if numbers != set(map(str, range(len(numbers)))):
            from_1 = numbers == set(map(str, range(1, len(numbers) + 1)))
            raise DataError(
                f"{where}: the labels are numbers but not 0 to {len(numbers) - 1}; "
                f"{'subtract 1 from each' if from_1 else 'renumber the signs'}, or use words"
            )


def sample_names(videos: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """A valid name for each video (N), unique and not `taken`: its file name in ASCII.

    If two file names collide, all names begin with the folders of the videos.
    """
    unique = {name.lower(): name for name in taken}  # for file systems that ignore case
    before = len(unique)
    names = [_ascii_name(PurePosixPath(video).stem) for video in videos]
    if len({name.lower() for name in names} - unique.keys()) < len(names):
        names = [_ascii_name(str(PurePosixPath(video).with_suffix(""))) for video in videos]
    for name in names:
        number, numbered = 1, name
        while numbered.lower() in unique:
            number += 1
            numbered = f"{name}-{number}"
        unique[numbered.lower()] = numbered
    return list(unique.values())[before:]


def _explain(name: str, fitting: Sequence[str], folder: str | Path, named: Iterable[str]) -> str:
    """Why a name is not the name of one video, and what to do."""
    if fitting:
        return f"{name!r} may be {' or '.join(fitting[:5])}; give the path below {folder}"
    if name.isdigit() and (full := [other for other in named if other.lstrip("0") == name]):
        return (
            f"no video {name[:140]!r} in {folder}, but {full[0]!r}: spreadsheets remove leading "
            "zeros; format the column as text and enter the names again"
        )
    if is_date(name):
        return (
            f"no video {name!r} in {folder}: {DATES}; format the column as text and enter the "
            "names again"
        )
    if PurePosixPath(name).name.startswith("."):
        return f"{name[:140]!r} is hidden by its dot; rename the file"
    near = difflib.get_close_matches(name, named, n=1)
    meant = f"; is it {near[0]!r}?" if near else "; give the name of a file there"
    return f"no video {name[:140]!r} in {folder}{meant}"


def _ascii_name(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.translate(_ASCII_LETTERS))
    plain = plain.encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:100] or "clip"

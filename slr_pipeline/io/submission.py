"""Submission files of the AUTSL challenge: `name,label` lines, and the zip that is uploaded."""

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path

from slr_pipeline.errors import DataError
from slr_pipeline.io.whole import whole_file

ZIP_MEMBER = "predictions.csv"
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say: the same bytes on every run


def write_submission(
    path: str | Path, rows: Sequence[tuple[str, int]], samples: Sequence[str], classes: int
) -> None:
    """Write `name,label` lines (no header, LF) and a `.zip` of the same stem, both checked.

    `samples` are the names that must be answered, in the order of the file.
    """
    path = Path(path)
    text = "".join(f"{name},{label}\n" for name, label in rows)
    with whole_file(path, lambda p: check_submission(p, samples, classes)) as partial:
        partial.write_text(text, encoding="utf-8", newline="")
    member = zipfile.ZipInfo(ZIP_MEMBER, date_time=ZIP_TIME)
    member.compress_type = zipfile.ZIP_DEFLATED
    with (
        whole_file(path.with_suffix(".zip")) as partial,
        zipfile.ZipFile(partial, "w") as archive,
    ):
        archive.writestr(member, text)


def check_submission(path: str | Path, samples: Sequence[str], classes: int) -> None:
    """DataError unless each sample is answered once, in order, by a label in 0..classes-1."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    for line, row in enumerate(rows, start=1):
        if len(row) != 2 or not (row[1].isascii() and row[1].isdigit() and int(row[1]) < classes):
            raise DataError(
                f"{path}, line {line}: expected `name,label` with a label in 0..{classes - 1}, "
                f"found {','.join(row)[:60]!r}"
            )
    names = [row[0] for row in rows]
    if names == list(samples):
        return
    missing = sorted(set(samples) - set(names))
    extra = sorted(set(names) - set(samples))
    raise DataError(
        f"{path}: expected {len(samples)} names in sample order, found {len(names)}; "
        f"missing {missing[:5]}, extra {extra[:5]}"
    )

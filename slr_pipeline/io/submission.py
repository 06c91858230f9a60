"""Submission files of the AUTSL challenge: `name,label` lines, and the zip for the upload."""

import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from slr_pipeline.config.experiment import Config
from slr_pipeline.errors import DataError
from slr_pipeline.io.atomic import atomic_write
from slr_pipeline.io.messages import MOST_LISTED, listed, printable
from slr_pipeline.samples.table import SAMPLE_NAME, SampleTable

ZIP_MEMBER = "predictions.csv"
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # constant, so that every run writes the same bytes

MOST_BYTES = 2**26
"""Largest size of a submission, unpacked: 64 MiB, about 700 times one of AUTSL."""

BOM = "\ufeff"


def write_submission(
    path: str | Path,
    rows: Sequence[tuple[str, int]],
    samples: Sequence[str],
    classes: int,
    template: Sequence[str] | None = None,
) -> None:
    """Write `name,label` lines (no header, LF) and a `.zip` of the same stem; check both.

    `samples` are the names to answer, in the order of the file. A `template` must have the same
    names and gives the order. DataError, and nothing is written, for missing, extra or repeated
    names and for labels outside 0..classes-1.
    """
    path = Path(path)
    if template is not None:
        _check_names(f"{path}, in the template", template, samples)
        _check_names(str(path), [name for name, _ in rows], template)
        labels = dict(rows)
        rows, samples = [(name, labels[name]) for name in template], template
    text = "".join(f"{name},{label}\n" for name, label in rows)
    with atomic_write(path, lambda p: check_submission(p, samples, classes)) as partial:
        partial.write_text(text, encoding="utf-8", newline="")
    member = zipfile.ZipInfo(ZIP_MEMBER, date_time=ZIP_TIME)
    member.compress_type = zipfile.ZIP_DEFLATED
    archive = path.with_suffix(".zip")
    with atomic_write(archive) as partial, zipfile.ZipFile(partial, "w") as file:
        file.writestr(member, text)


def check_submission(path: str | Path, samples: Sequence[str], classes: int) -> None:
    """DataError unless each sample has one line, in order, with a label in 0..classes-1."""
    names = [name for name, _ in read_predictions(path, classes)]
    _check_names(str(path), names, samples)
    if names != list(samples):
        raise DataError(f"{path}: names are not in the order of the samples; sort the lines")


# --- files of others -----------------------------------------------------------------------------


def read_predictions(path: str | Path, classes: int) -> list[tuple[str, int]]:
    """Read names and labels of a `name,label` file or of a submission zip, in its order.

    Accepts CRLF, a blank before the label, a byte order mark and a missing final line end.
    DataError with the line of the first problem.
    """
    table, problems = _parse(str(path), read_text(path), classes)
    if problems:
        raise DataError(problems[0])
    return list(table.itertuples(index=False, name=None))


def read_template(path: str | Path) -> list[str]:
    """Read the names of a template in its order; its labels are random and ignored."""
    return [name for name, _ in read_predictions(path, classes=10**9)]


def template_problems(config: Config, table: SampleTable) -> Iterator[str]:
    """A line per template of a track that cannot be read or has other names than test."""
    names = [sample.name for sample in table.split("test")]
    for track, settings in config.tracks.items():
        if settings.template is None or not os.path.isfile(settings.template):
            continue
        try:
            _check_names(settings.template, read_template(settings.template), names)
        except DataError as error:
            yield f"tracks.{track}.template: {error}"


def submission_problems(path: str | Path, template: str | Path, classes: int) -> list[str]:
    """List what is wrong with a submission, one line per problem; empty if a scorer can read it.

    Names must be those of the template in its order, because a scorer may read by position.
    DataError if a file cannot be read at all.
    """
    expected = read_template(template)
    text = read_text(path)
    table, problems = _parse(str(path), text, classes)
    if problems and text.startswith(BOM):
        problems.append(
            f"{path}, line 1: starts with a byte order mark, which a scorer may read as part of "
            "the first name; save the file as UTF-8 without it"
        )
    names = table["name"].tolist()
    try:
        _check_names(str(path), table["name"].unique().tolist(), expected)
    except DataError as error:
        return [*problems, str(error)]
    if not problems and names != expected:
        at = next(i for i, name in enumerate(expected) if names[i] != name)
        problems.append(
            f"{path}, line {at + 1}: expected {expected[at]} as in the template, found "
            f"{names[at]}; write the lines in the order of the template"
        )
    return problems


def read_text(path: str | Path) -> str:
    """Read the text of a submission, or of the single `predictions.csv` in a `.zip`.

    DataError for unreadable files, text that is not UTF-8, and more than MOST_BYTES.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".zip":
            data = _read_member(path)
        else:
            with path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise _too_large(path, len(data))
        return data.decode("utf-8")
    except OSError as error:
        reason = error.strerror or "it is incomplete"
        raise DataError(f"{path}: cannot be read ({reason}); check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; expected lines `name,label`") from error


def _read_member(path: Path) -> bytes:
    """Read the single file of a zip, at most to its declared size."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if names != [ZIP_MEMBER]:
                raise DataError(
                    f"{path}: expected only {ZIP_MEMBER} at the root of the zip, found "
                    f"{listed(names)}; zip the file alone"
                )
            info = infos[0]
            if info.file_size > MOST_BYTES:
                raise _too_large(path, info.file_size)
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(f"{path}: unusual compression method; zip it with deflate")
            if info.flag_bits & 0x1:
                raise DataError(f"{path}: needs a password; zip it without one")
            with archive.open(info) as file:
                return file.read(info.file_size)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise DataError(
            f"{path}: damaged zip ({printable(str(error))}); zip the file again"
        ) from error


def _too_large(path: Path, size: int) -> DataError:
    return DataError(
        f"{path}: holds {size} bytes or more, a submission at most {MOST_BYTES}; give only lines "
        "`name,label`"
    )


def _parse(where: str, text: str, classes: int) -> tuple[pd.DataFrame, list[str]]:
    """Names and labels of the lines with a valid name; problems, at most MOST_LISTED and a count.

    DataError for an empty file.
    """
    if not text.strip():
        raise DataError(f"{where}: the file is empty; expected lines `name,label`")
    lines = text.removeprefix(BOM).removesuffix("\n").split("\n")
    line_of: dict[str, int] = {}
    rows, problems = [], []
    for number, line in enumerate(lines, start=1):
        name, _, label = line.removesuffix("\r").partition(",")
        valid = re.fullmatch(" ?[0-9]{1,9}", label)
        problem = None
        if not valid or not SAMPLE_NAME.fullmatch(name):
            problem = (
                f"found {line[:60]!a}, expected `name,label` without header or quotes: "
                "1 to 128 letters, digits, '.', '_' or '-', then a comma and a whole number "
                f"0..{classes - 1}"
            )
        elif int(label) >= classes:
            problem = f"label {int(label)} is outside 0..{classes - 1}; labels count from 0"
        elif name in line_of:
            problem = f"{name} is in line {line_of[name]} too; keep one of them"
        if problem:
            problems.append(f"{where}, line {number}: {problem}")
        if SAMPLE_NAME.fullmatch(name):
            line_of.setdefault(name, number)
            rows.append((name, 0 if problem else int(label)))
    if (more := len(problems) - MOST_LISTED) > 0:
        problems = [*problems[:MOST_LISTED], f"{where}: {more} more lines are wrong; correct them"]
    return pd.DataFrame(rows, columns=["name", "label"]), problems


def _check_names(where: str, names: Sequence[str], expected: Sequence[str]) -> None:
    """DataError that lists missing, extra and repeated names; the order may differ."""
    counts = pd.Series(names, dtype=str).value_counts(sort=False)
    missing, extra = sorted(set(expected) - set(names)), sorted(set(names) - set(expected))
    repeated = counts.index[counts > 1].tolist()
    if missing or extra or repeated:
        raise DataError(
            f"{where}: expected {len(expected)} names, found {len(names)}; missing "
            f"{listed(missing)}, extra {listed(extra)}, repeated {listed(repeated)}; give each "
            "sample one line"
        )

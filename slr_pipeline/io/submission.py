"""Submission files of the AUTSL challenge: `name,label` lines, and the zip that is uploaded."""

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from slr_pipeline.errors import DataError
from slr_pipeline.io.atomic import atomic_write
from slr_pipeline.io.messages import MOST_LISTED, listed
from slr_pipeline.samples.table import SAMPLE_NAME

ZIP_MEMBER = "predictions.csv"
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say: the same bytes on every run

MOST_BYTES = 2**26
"""What a submission may hold, unpacked: 64 MiB, some 700 times one of AUTSL."""

BOM = "\ufeff"


def write_submission(
    path: str | Path,
    rows: Sequence[tuple[str, int]],
    samples: Sequence[str],
    classes: int,
    template: Sequence[str] | None = None,
) -> None:
    """Write `name,label` lines (no header, LF) and a `.zip` of the same stem, both checked.

    `samples` are the names that must be answered, in the order of the file; where a `template` is
    given, its names must be the same and its order is taken. DataError, and nothing is written,
    for missing, extra or doubled names and for a label out of 0..classes-1.
    """
    path = Path(path)
    if template is not None:
        _same_names(f"{path}, in the template", template, samples)
        _same_names(str(path), [name for name, _ in rows], template)
        labels = dict(rows)
        rows, samples = [(name, labels[name]) for name in template], template
    text = "".join(f"{name},{label}\n" for name, label in rows)
    with atomic_write(path, lambda p: check_submission(p, samples, classes)) as partial:
        partial.write_text(text, encoding="utf-8", newline="")
    member = zipfile.ZipInfo(ZIP_MEMBER, date_time=ZIP_TIME)
    member.compress_type = zipfile.ZIP_DEFLATED
    with (
        atomic_write(path.with_suffix(".zip")) as partial,
        zipfile.ZipFile(partial, "w") as archive,
    ):
        archive.writestr(member, text)


def check_submission(path: str | Path, samples: Sequence[str], classes: int) -> None:
    """DataError unless each sample is answered once, in order, by a label in 0..classes-1."""
    names = [name for name, _ in read_predictions(path, classes)]
    _same_names(str(path), names, samples)
    if names != list(samples):
        raise DataError(f"{path}: its names are not in the order of the samples; write them so")


# --- files of others -----------------------------------------------------------------------------


def read_predictions(path: str | Path, classes: int) -> list[tuple[str, int]]:
    """Names and labels of a `name,label` file, or of the one in a submission zip, in its order.

    CRLF, one blank before the label, a byte order mark and a missing last line end are accepted.
    DataError with the line of the first thing that is wrong.
    """
    rows, problems = _parse(str(path), read_text(path), classes)
    if problems:
        raise DataError(problems[0])
    return rows


def read_template(path: str | Path) -> list[str]:
    """The names of a template in its order; its labels are random and not read."""
    names = []
    for line, text in _lines(str(path), read_text(path).removeprefix(BOM)):
        where = f"{path}, line {line}"
        cells = text.split(",")
        problem = _header_problem(where, line, cells) or _name_problem(where, cells[0])
        if problem:
            raise DataError(problem)
        names.append(cells[0])
    doubled = [name for name, times in Counter(names).items() if times > 1]
    if doubled:
        raise DataError(
            f"{path}: names that stand twice: {listed(doubled)}; give the template as it came"
        )
    return names


def submission_problems(path: str | Path, template: str | Path, classes: int) -> list[str]:
    """What is wrong with a submission, one line a thing; nothing where a scorer can take it.

    Names must be those of the template in its order: a scorer may read by position.
    DataError where a file cannot be read at all.
    """
    wanted = read_template(template)
    text = read_text(path)
    rows, problems = _parse(str(path), text, classes)
    if problems and text.startswith(BOM):
        problems.append(
            f"{path}, line 1: it begins with a byte order mark, which a scorer may take as part of "
            "the first name; save it as UTF-8 without one"
        )
    names = [name for name, _ in rows]
    try:
        _same_names(str(path), list(dict.fromkeys(names)), wanted)
    except DataError as error:
        return [*problems, str(error)]
    if not problems and names != wanted:
        at = next(i for i, name in enumerate(wanted) if names[i] != name)
        problems.append(
            f"{path}, line {at + 1}: expected {wanted[at]} as in the template, found {names[at]}; "
            "write the rows in the order of the template"
        )
    return problems


def read_text(path: str | Path) -> str:
    """Text of a submission: of the file, or of `predictions.csv` alone at the root of a `.zip`.

    DataError for what cannot be read, is no UTF-8, or holds more than MOST_BYTES.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".zip":
            data = _member(path)
        else:
            with path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise _too_large(path, len(data))
        return data.decode("utf-8")
    except OSError as error:
        reason = error.strerror or "it is cut short"
        raise DataError(f"{path}: cannot be read ({reason}); check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; expected lines `name,label`") from error


def _member(path: Path) -> bytes:
    """The one file of a zip, read no further than it says."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if names != [ZIP_MEMBER]:
                outside = [n for n in names if n.startswith("/") or ".." in n or "\\" in n]
                raise DataError(
                    f"{path}: expected just {ZIP_MEMBER} at the root of the zip, found "
                    f"{listed(names)}{' (which leave the folder)' if outside else ''}; zip the "
                    "file alone"
                )
            info = infos[0]
            if info.file_size > MOST_BYTES:
                raise _too_large(path, info.file_size)
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(f"{path}: packed in an unusual way; zip it with deflate")
            if info.flag_bits & 0x1:
                raise DataError(f"{path}: it asks for a password; zip it without one")
            with archive.open(info) as file:
                return file.read(info.file_size)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path}: not a whole zip ({_printable(str(error))}); zip it again") from (
            error
        )


def _too_large(path: Path, size: int) -> DataError:
    return DataError(
        f"{path}: holds {size} bytes or more, a submission at most {MOST_BYTES}; give lines "
        "`name,label` only"
    )


def _lines(where: str, text: str) -> list[tuple[int, str]]:
    """Numbered lines; a CSV of names and numbers needs no quotes, so a line is a row."""
    lines = text.removesuffix("\n").split("\n")
    if not text.strip():
        raise DataError(f"{where}: the file is empty; expected lines `name,label`")
    return [(number, line.removesuffix("\r")) for number, line in enumerate(lines, start=1)]


def _parse(where: str, text: str, classes: int) -> tuple[list[tuple[str, int]], list[str]]:
    """Rows whose names can be read, and what is wrong, at most MOST_LISTED lines and a count."""
    rows: list[tuple[str, int]] = []
    problems: list[str] = []
    line_of: dict[str, int] = {}
    for number, line in _lines(where, text.removeprefix(BOM)):
        place = f"{where}, line {number}"
        cells = line.split(",")
        problem = (
            _header_problem(place, number, cells)
            or _name_problem(place, cells[0])
            or _label_problem(place, cells, classes)
        )
        name = cells[0]
        if not problem and name in line_of:
            problem = f"{place}: {name} stands in line {line_of[name]} too; keep one of them"
        if problem:
            problems.append(problem)
        if SAMPLE_NAME.fullmatch(name) and not _is_header(number, cells):
            line_of.setdefault(name, number)
            rows.append((name, 0 if problem else int(cells[1])))
    if len(problems) > MOST_LISTED:
        more = len(problems) - MOST_LISTED
        problems = [*problems[:MOST_LISTED], f"{where}: {more} more lines are wrong; mend them too"]
    return rows, problems


def _is_header(number: int, cells: Sequence[str]) -> bool:
    """Whether this is the first line and says what the others hold: words, no digit."""
    return number == 1 and re.fullmatch(r"[A-Za-z_ ]+,[A-Za-z_ ]+", ",".join(cells)) is not None


def _header_problem(where: str, number: int, cells: Sequence[str]) -> str | None:
    if not _is_header(number, cells):
        return None
    return f"{where}: a header {_printable(','.join(cells))}; delete the line, there is none"


def _name_problem(where: str, name: str) -> str | None:
    if SAMPLE_NAME.fullmatch(name):
        return None
    if not name.strip():
        return f"{where}: there is no name; expected `name,label`"
    if "/" in name or "\\" in name:
        return f"{where}: name {_printable(name)} has a path separator; give the sample name alone"
    return (
        f"{where}: {_printable(name)} is no sample name; expected 1 to 128 letters, digits, '.', "
        "'_' or '-' before the comma, without quotes"
    )


def _label_problem(where: str, cells: Sequence[str], classes: int) -> str | None:
    if len(cells) != 2:
        return f"{where}: expected `name,label`, found {len(cells)} cells; write one label a line"
    label = cells[1].removeprefix(" ")
    if not re.fullmatch(r"[0-9]{1,9}", label):
        return (
            f"{where}: label {_printable(label)} is not a whole number; expected 0..{classes - 1}"
        )
    if int(label) >= classes:
        return f"{where}: label {label} is out of 0..{classes - 1}; labels count from 0"
    return None


def _same_names(where: str, names: Sequence[str], wanted: Sequence[str]) -> None:
    """DataError that lists missing, extra and doubled names; order is free."""
    missing = sorted(set(wanted) - set(names))
    extra = sorted(set(names) - set(wanted))
    doubled = [name for name, times in Counter(names).items() if times > 1]
    if missing or extra or doubled:
        raise DataError(
            f"{where}: expected {len(wanted)} names, found {len(names)}; missing "
            f"{listed(missing)}, extra {listed(extra)}, doubled {listed(doubled)}; give each "
            "sample one line"
        )


def _printable(text: str) -> str:
    return ascii(text[:60])

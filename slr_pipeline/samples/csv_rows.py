"""CSV files that users write, row by row."""

import csv
import io
from collections.abc import Iterator, Sequence

from slr_pipeline.errors import DataError
from slr_pipeline.text import refused_character


def read_bytes(path: str) -> bytes:
    """The content of a file. DataError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); does it exist?") from error


def decode(where: str, content: bytes) -> str:
    """The text of a file in UTF-8, with or without a byte order mark. DataError otherwise."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 text; save it as a UTF-8 CSV") from error


def csv_rows(
    where: str, text: str, *, separator: str = ",", columns: int | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that is not blank; line ends are LF or CRLF.

    DataError with the line for a character that `slr_pipeline.text` refuses and, with `columns`,
    for another number of cells.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in reader:
            content = "".join(cell.strip() for cell in cells)
            if not content:
                continue
            if bad := refused_character(content):
                raise DataError(
                    f"{where}, line {reader.line_num}: a line break or control character in "
                    f"{','.join(cells)[:60]!r} ({bad}); remove it"
                )
            if columns is not None and len(cells) != columns:
                raise DataError(
                    f"{where}, line {reader.line_num}: expected {columns} cells, found "
                    f"{len(cells)}: {','.join(cells)[:60]!r}"
                )
            yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{where}: not a CSV ({error}); save it as one") from error


def csv_table(
    where: str,
    text: str,
    columns: Sequence[str],
    required: Sequence[str],
) -> Iterator[tuple[int, list[str]]]:
    """Line number and stripped cells of each row below a header, in the order of `columns`.

    Cells are separated as spreadsheets do it: by commas, semicolons or tabs, and rows may end in
    empty cells. Columns that are not `required` may be absent; their cells are empty. DataError
    for another header, no rows, and, with the line, a row of another length.
    """
    header = io.StringIO(text.lstrip(), newline=None).readline()
    rows = csv_rows(where, text, separator=max(",;\t", key=header.count))
    names = [name.strip().lower() for name in next(rows, (0, []))[1]]
    while names and not names[-1]:
        names.pop()
    if not set(required) <= set(names) <= set(columns) or len(set(names)) < len(names):
        raise DataError(
            f"{where}: expected a header of {','.join(columns)} (needed: {','.join(required)}), "
            f"found {','.join(names)[:100]!r}"
        )
    # An absent column is read from an empty cell appended to the row.
    places = [names.index(name) if name in names else len(names) for name in columns]
    line = 0
    for line, cells in rows:
        while len(cells) > len(names) and not cells[-1].strip():
            cells.pop()
        if len(cells) != len(names):
            raise DataError(
                f"{where}, line {line}: expected {len(names)} cells, found {len(cells)}; quote a "
                "cell that contains the separator"
            )
        cells.append("")
        yield line, [cells[place].strip() for place in places]
    if not line:
        raise DataError(f"{where}: no rows below the header; add one per clip")

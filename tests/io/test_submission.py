"""Submissions: the exact bytes, the zip, and what is refused."""

import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from slr_pipeline.errors import DataError
from slr_pipeline.io.submission import (
    read_predictions,
    read_template,
    submission_problems,
    write_submission,
)
from tests.shared_data import SHARED

SAMPLES = ["signer6_sample2", "signer6_sample1"]
ROWS = [("signer6_sample2", 225), ("signer6_sample1", 0)]


@pytest.mark.parametrize("template", [None, SAMPLES[::-1]])
def test_lines_and_zip_in_the_order_of_samples_or_template(
    tmp_path: Path, template: list[str] | None
) -> None:
    path = tmp_path / "submission.csv"
    write_submission(path, ROWS, SAMPLES, 226, template)
    lines = [b"signer6_sample2,225\n", b"signer6_sample1,0\n"]
    assert path.read_bytes() == b"".join(lines[::-1] if template else lines)
    with zipfile.ZipFile(tmp_path / "submission.zip") as archive:
        assert archive.namelist() == ["predictions.csv"]
        assert archive.read("predictions.csv") == path.read_bytes()
    before = (tmp_path / "submission.zip").read_bytes()
    write_submission(path, ROWS, SAMPLES, 226, template)
    assert (tmp_path / "submission.zip").read_bytes() == before


@pytest.mark.parametrize(
    ("rows", "template", "line"),
    [
        ([ROWS[0], (SAMPLES[1], 226)], None, r"line 2: label 226 is outside 0\.\.225"),
        (ROWS[:1], None, r"missing 1 \('signer6_sample1'\)"),
        ([*ROWS, ("other", 1)], None, r"extra 1 \('other'\)"),
        ([*ROWS, ROWS[0]], None, "line 3: signer6_sample2 is in line 1 too"),
        (ROWS[::-1], None, "not in the order of the samples"),
        (ROWS, SAMPLES[:1], r"in the template: .* missing 1 \('signer6_sample1'\)"),
        (ROWS, [*SAMPLES, "other"], r"in the template: .* extra 1 \('other'\)"),
        (ROWS, [*SAMPLES, SAMPLES[0]], r"in the template: .* repeated 1 \('signer6_sample2'\)"),
        ([*ROWS, (SAMPLES[0], 1)], SAMPLES, r"repeated 1 \('signer6_sample2'\)"),
        ([ROWS[0], (SAMPLES[1], True)], SAMPLES, r"line 2: found 'signer6_sample1,True'"),
    ],
)
def test_a_wrong_submission_is_not_written(
    tmp_path: Path, rows: Any, template: list[str] | None, line: str
) -> None:
    with pytest.raises(DataError, match=line):
        write_submission(tmp_path / "submission.csv", rows, SAMPLES, 226, template)
    assert list(tmp_path.iterdir()) == []


# --- files of others -----------------------------------------------------------------------------

LINES = "signer6_sample2,225\nsigner6_sample1,0\n"


def saved(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def zipped(path: Path, *members: tuple[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "text",
    [
        LINES,
        LINES.replace("\n", "\r\n"),
        LINES.replace(",", ", "),
        LINES.removesuffix("\n"),
        "\ufeff" + LINES,
    ],
)
def test_accepted_variants_of_the_format(tmp_path: Path, text: str) -> None:
    path = saved(tmp_path / "x.csv", text)
    template = saved(tmp_path / "t.csv", LINES.replace("225", "1").replace("\n", "\r\n"))
    assert read_predictions(path, 226) == ROWS
    assert read_template(template) == SAMPLES
    assert submission_problems(path, template, 226) == []
    archive = zipped(tmp_path / "x.zip", ("predictions.csv", text.encode()))
    assert read_predictions(archive, 226) == ROWS
    assert submission_problems(archive, template, 226) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ": the file is empty"),
        ("a,1\na,1\n", ", line 2: a is in line 1 too"),
        ("a,1\nb,226\n", r", line 2: label 226 is outside 0\.\.225"),
        ("name,label\na,1\n", ", line 1: found 'name,label', expected `name,label` without head"),
        ("a,1\n\nb,1\n", ", line 2: found '', expected"),
        ("a,1\n,1\n", ", line 2: found ',1'"),
        ("a,1\nb,1,2\n", ", line 2: found 'b,1,2'"),
        ("a,1\nb,1.0\n", r", line 2: found 'b,1\.0'"),
        ("a,1\nb,-1\n", ", line 2: found 'b,-1'"),
        ("a,1\nb,\u0663\n", r", line 2: found 'b,\\u0663'"),
        (f"a,{'9' * 5000}\n", ", line 1: found 'a,9999"),
        ("a,1\n../b,1\n", r", line 2: found '\.\./b,1'"),
        ('a,1\n"b",1\n', ", line 2: found '\"b\",1'"),
        ("a,1\rb,1\r", r", line 1: found 'a,1\\rb,1"),
        (b"a,1\n\xff,1\n", ": not UTF-8 text"),
        (b"PK\x03\x04a,1\n", r", line 1: found 'PK\\x03\\x04a,1'"),
    ],
)
def test_wrong_predictions_are_named_with_their_line(
    tmp_path: Path, text: str | bytes, line: str
) -> None:
    path = saved(tmp_path / "x.csv", text)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}{line}") as caught:
        read_predictions(path, 226)
    assert str(caught.value).isprintable()


def problems(tmp_path: Path, text: str, template: str = LINES) -> list[str]:
    path = saved(tmp_path / "x.csv", text)
    problems = submission_problems(path, saved(tmp_path / "t.csv", template), 226)
    return [problem.removeprefix(str(path)) for problem in problems]


def test_all_problems_are_listed(tmp_path: Path) -> None:
    listed = problems(tmp_path, "\ufeffsigner6_sample2,x\nsigner6_sample2,1\nc/d,2\nother,1\n")
    starts = [
        ", line 1: found 'signer6_sample2,x'",
        ", line 2: signer6_sample2 is in line 1 too",
        ", line 3: found 'c/d,2'",
        ", line 1: starts with a byte order mark",
        ": expected 2 names, found 2; missing 1 ('signer6_sample1'), extra 1 ('other')",
    ]
    assert [problem[: len(start)] for problem, start in zip(listed, starts, strict=True)] == starts


def test_another_order_than_the_template(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "signer6_sample1,0\nsigner6_sample2,225\n")
    assert problem.startswith(", line 1: expected signer6_sample2 as in the template, found")


def test_many_wrong_lines_are_counted(tmp_path: Path) -> None:
    text = "".join(f"s{i},x{i}\n" for i in range(25))
    listed = problems(tmp_path, text, text.replace("x", ""))
    assert len(listed) == 11
    assert listed[-1] == ": 15 more lines are wrong; correct them"


def test_a_wrong_template(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: found 'a/b,1'"):
        read_template(saved(tmp_path / "t.csv", "a,1\na/b,1\n"))


DATA = LINES.encode()


@pytest.mark.parametrize(
    ("members", "line"),
    [
        ([], "found none; zip the file alone"),
        ([("submission.csv", DATA)], r"found 1 \('submission.csv'\)"),
        ([("x/predictions.csv", DATA)], r"at the root of the zip, found 1 \('x/predictions.csv'\)"),
        ([("predictions.csv", DATA), ("a.txt", DATA)], "found 2 "),
        ([("predictions.csv", bytes(2**26 + 1))], "holds 67108865 bytes or more"),
        ([("predictions.csv", b"\xff\xff")], "not UTF-8 text"),
    ],
)
def test_zips_that_cannot_be_uploaded(
    tmp_path: Path, members: list[tuple[str, bytes]], line: str
) -> None:
    with pytest.raises(DataError, match=line):
        read_predictions(zipped(tmp_path / "x.zip", *members), 226)


def test_damaged_or_unusual_zips(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", ("predictions.csv", DATA), packing=zipfile.ZIP_LZMA)
    with pytest.raises(DataError, match="unusual compression method"):
        read_predictions(path, 226)
    path = zipped(tmp_path / "x.zip", ("predictions.csv", DATA), packing=zipfile.ZIP_STORED)
    content = path.read_bytes()
    with pytest.raises(DataError, match="damaged zip"):
        read_predictions(saved(path, content[:-30]), 226)
    with pytest.raises(DataError, match=r"damaged zip .*Bad CRC-32"):
        read_predictions(saved(path, content.replace(b",225", b",224")), 226)
    central = content.rindex(b"PK\x01\x02")
    locked = content[: central + 8] + b"\x01" + content[central + 9 :]
    with pytest.raises(DataError, match="needs a password"):
        read_predictions(saved(path, locked), 226)


def test_a_zip_larger_than_it_declares(tmp_path: Path) -> None:
    size = 2**24 + 7
    path = zipped(tmp_path / "x.zip", ("predictions.csv", bytes(size)))
    lie = path.read_bytes().replace(struct.pack("<I", size), struct.pack("<I", 99))
    with pytest.raises(DataError, match=r"damaged zip .*Bad CRC-32"):
        read_predictions(saved(path, lie), 226)


def test_missing_files(tmp_path: Path) -> None:
    for name in ("x.csv", "x.zip"):
        with pytest.raises(DataError, match=r"cannot be read \(No such file"):
            read_predictions(tmp_path / name, 226)
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory"):
        read_predictions(tmp_path, 226)


@pytest.mark.skipif(
    not (SHARED / "autsl").is_dir(),
    reason="no AUTSL submissions: SLR_SHARED_DATA or ../shared/data has no autsl",
)
@pytest.mark.parametrize("phase", ["test", "validation"])
def test_published_submissions_are_valid(phase: str) -> None:
    folder = SHARED / "autsl" / "decoster"
    template = folder / f"predictions_{phase}_template.csv"
    short = {"test": "TEST", "validation": "DEV"}[phase]
    for name in (f"RGB_{short}_VTN_HCPF", f"RGBD_{short}_VTN_HCPF_D"):
        assert submission_problems(folder / f"{name}.csv", template, 226) == []

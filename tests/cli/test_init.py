"""`slr init`: a config and a sample table for a folder of videos. No video is opened."""

import csv
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from slr_pipeline.cli.init import COLUMNS
from slr_pipeline.cli.main import main
from slr_pipeline.config.experiment import SPLITS, read_config
from slr_pipeline.errors import DataError
from slr_pipeline.samples.clip_folder import find_videos, read_labels, sample_names
from slr_pipeline.samples.splits import clip_split
from slr_pipeline.samples.table import SAMPLE_NAME, check_streams, load_samples

SIGNS = ("merhaba", "teşekkürler")
PEOPLE = ("Ayşe", "Ben", "Çağla", "Ümit", "Zoë")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with a name of people's own."""
    made = tmp_path / "my signs"
    made.mkdir()
    return made


def clips(folder: Path, people: tuple[str, ...] = PEOPLE) -> list[list[str]]:
    """Two empty files of each sign by each person, and the rows of their CSV."""
    rows = []
    for person in people:
        for sign in SIGNS:
            for take in "12":
                name = f"{person} {sign} {take}.MP4".strip()
                (folder / name).touch()
                rows.append([name, sign, person])
    return rows


def write_labels(path: Path, rows: list[list[str]], header: str = "video,label,signer") -> Path:
    """A CSV with this header and what separates it."""
    text = ";" if ";" in header else "\t" if "\t" in header else ","
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=text).writerows([header.split(text), *rows])
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: Path | str) -> str:
    """The one line that `slr init` ends with."""
    with pytest.raises(SystemExit) as ended:
        main(["init", *map(str, arguments)])
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("error: ")


def table_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "samples.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_clips_and_a_csv_become_a_checked_config_split_by_signer(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_labels(folder / "labels.csv", clips(folder))
    main(["init", str(folder), "--labels", str(labels)])
    said = capsys.readouterr().out
    assert "20 clips of 2 signs: merhaba 10, teşekkürler 10\n" in said
    assert f"  slr check '{folder}/config.yaml'\n" in said
    assert "warning" not in said

    config = read_config(str(folder / "config.yaml"))
    device = "auto" if torch.cuda.device_count() else "cpu"
    assert (config.name, config.device) == ("my_signs", device)
    assert config.results == str(folder / "results")
    assert list(config.streams) == ["joint", "bone", "rgb"]
    assert config.tracks["rgb"].streams == dict.fromkeys(config.streams)  # fitted on val
    table = load_samples(config.data)
    check_streams(config, table)
    assert table.classes == SIGNS
    assert [len(table.split(split)) for split in SPLITS] == [12, 4, 4]
    assert len({(s.signer, s.split) for s in table.samples}) == len(PEOPLE)
    assert all(Path(sample.color).is_file() for sample in table.samples)
    (split,) = (sample.split for sample in table.samples if sample.name == "Ayse_merhaba_1")
    assert table_of(folder)[0] == {
        "sample": "Ayse_merhaba_1",
        "split": split,
        "label": "merhaba",
        "signer": "Ayşe",
        "color": "Ayşe merhaba 1.MP4",
    }


def test_sub_folders_are_signs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos, folder = tmp_path / "videos", tmp_path / "new" / "run"
    for sign in ("evet", "hayır"):
        (videos / sign / "monday").mkdir(parents=True)
        for number in range(5):
            (videos / sign / "monday" / f"{number}.mov").touch()
    (videos / "evet" / "._0.mov").touch()  # what macOS leaves beside a file
    (videos / "evet" / "notes.txt").touch()
    main(["init", str(folder), "--videos", str(videos)])
    said = capsys.readouterr().out
    assert "  train: 6 clips\n" in said
    assert "warning: split by clip and not by signer, as 10 clips have no signer" in said
    rows = table_of(folder)
    assert [row["sample"] for row in rows[:2]] == ["evet_monday_0", "evet_monday_1"]
    assert Counter((row["label"], row["split"]) for row in rows) == {
        (sign, split): count
        for sign in ("evet", "hayır")
        for split, count in (("train", 3), ("val", 1), ("test", 1))
    }
    config = read_config(str(folder / "config.yaml"))
    check_streams(config, load_samples(config.data))
    assert config.data.root == str(videos)  # type: ignore[union-attr]
    assert list(videos.glob("*.*")) == []


@pytest.mark.parametrize(
    ("people", "why"),
    [
        (PEOPLE[:3], "there are 3 signers and 4 are needed"),
        (("", "Ben", "Cem", "Ada"), "4 clips have no signer"),
    ],
)
def test_too_few_signers_are_split_by_clip_with_a_warning(
    people: tuple[str, ...], why: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_labels(folder / "labels.csv", clips(folder, people))
    main(["init", str(folder), "--labels", str(labels)])
    (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("warning"))
    assert why in line
    assert line.endswith("nothing about strangers")
    config = read_config(str(folder / "config.yaml"))
    assert not config.data.signer_independent
    check_streams(config, load_samples(config.data))


def test_a_sign_of_one_signer_is_not_kept_out_of_train(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = []
    for number, person in enumerate(PEOPLE):  # each signer has a sign alone
        for take in range(4):
            (folder / f"{number}{take}.mp4").touch()
            rows.append([f"{number}{take}.mp4", f"sign {number}", person])
    main(["init", str(folder), "--labels", str(write_labels(folder / "l.csv", rows))])
    assert "as train would have no clip of sign " in capsys.readouterr().out
    config = read_config(str(folder / "config.yaml"))
    check_streams(config, load_samples(config.data))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_spreadsheets_write_is_read(separator: str, folder: Path) -> None:
    text = "Video,Label,Signer\r\na 1.mp4,günaydın,Ayşe\r\n,,\r\nb.mp4, İyi ,\r\n"
    path = folder / "labels.csv"
    path.write_bytes("\ufeff".encode() + text.replace(",", separator).encode())
    found = read_labels(path)
    assert found == [(2, "a 1.mp4", "günaydın", "Ayşe"), (4, "b.mp4", "İyi", "")]


def test_a_video_is_found_by_path_name_or_stem_in_any_normal_form(folder: Path) -> None:
    for video in ("x/ağaç.mp4", "y/ev.mp4", "y/su.mov", "su.mov", "z/a.mp4", "z/b.mp4"):
        path = folder / unicodedata.normalize("NFD", video)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    rows = [["ağaç", "A"], ["ev.mp4", "A"], ["y\\su.mov", "A"], ["su.mov", "B"]]
    rows += [["z/a", "B"], ["b", "B"]]
    labels = write_labels(folder / "labels.csv", rows, "video,label")
    main(["init", str(folder), "--labels", str(labels)])
    config = read_config(str(folder / "config.yaml"))
    samples = load_samples(config.data).samples
    assert all(Path(sample.color).is_file() for sample in samples)
    assert [Path(s.color).relative_to(folder).parts[0] for s in samples] == [
        *"xyy",
        "su.mov",
        *"zz",
    ]


def test_videos_without_a_row_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = clips(folder)
    labels = write_labels(folder / "labels.csv", rows[2:])
    main(["init", str(folder), "--labels", str(labels)])
    said = capsys.readouterr().out
    assert f"left out, as {labels} does not name them: {rows[0][0]}, {rows[1][0]}\n" in said


@pytest.mark.parametrize("name", ["config.yaml", "samples.csv"])
def test_nothing_is_overwritten(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_labels(folder / "labels.csv", clips(folder))
    (folder / name).write_text("mine")
    line = refused(capsys, folder, "--labels", labels)
    assert line.startswith(f"{folder / name}: is there already and stays; ")
    assert (folder / name).read_text() == "mine"
    assert len([*folder.glob("*.yaml"), *folder.glob("samples*")]) == 1


def test_both_files_are_written_or_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = write_labels(folder / "labels.csv", clips(folder))
    out = folder / "taken"
    out.write_text("a file, not a folder")
    line = refused(capsys, out, "--videos", folder, "--labels", labels)
    assert line.startswith(f"{out / 'samples.csv'}: cannot be written (")
    assert out.read_text() == "a file, not a folder"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("video,label,signer", "video,sign,signer"), "expected a header of video,label,signer"),
        (
            ("video,label,signer\n", ""),
            "expected a header of video,label,signer and rows, found 'a",
        ),
        (("a1.mp4,A", "a9.mp4,A"), ", line 2: no video 'a9.mp4' in {folder}; is it 'a"),
        (("a1.mp4,A", "a1.mp4,"), ", line 2: no label; write one, or remove the line"),
        (("a1.mp4,A", ",A"), ", line 2: no video; write one, or remove the line"),
        (("a1.mp4,A", "a1.mp4,A,B"), ", line 2: expected 3 cells, found 4; "),
        (("a1.mp4", "a2.mp4"), ", line 3: a2.mp4 is named in line 2, too; remove one"),
        ((",B,", ",A,"), ": all 6 clips are of the sign 'A'; "),
        (
            ("b1.mp4,B", "b1.mp4,C"),
            ": 3 clips of each sign are needed, and 2 signs have fewer (B, C",
        ),
        (("b1.mp4,B", "b1.mp4,b"), ": labels 'b' and 'B' differ in capitals only; "),
        (("y\n", "X\n"), ": signers 'x' and 'X' differ in capitals only; "),
        ((",A,", ",1,", ",B,", ",2,"), ": the labels are numbers but not 0 to 1; "),
        (("a1.mp4,A", '"a1.mp4"x,A'), ": not a CSV ("),
        (("a1.mp4,A", 'a1.mp4,"A\nB"'), ", line 3: a line break or control character; take it out"),
    ],
)
def test_a_wrong_csv_is_one_line(
    change: tuple[str, ...], line: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "video,label,signer\n"
    for name in ("a1", "a2", "a3", "b1", "b2", "b3"):
        (folder / f"{name}.mp4").touch()
        text += f"{name}.mp4,{name[0].upper()},{'x' if name[1] == '1' else 'y'}\n"
    for old, new in zip(change[::2], change[1::2], strict=True):
        text = text.replace(old, new)
    labels = folder / "labels.csv"
    labels.write_text(text)
    found = refused(capsys, folder, "--labels", labels)
    assert found.startswith(str(labels))
    assert line.format(folder=folder) in found
    assert not (folder / "config.yaml").exists()
    assert not (folder / "samples.csv").exists()


def test_other_encodings_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips(folder)
    labels = folder / "labels.csv"
    for encoding in ("cp1254", "utf-16"):
        labels.write_bytes("video,label\nçay.mp4,çay\n".encode(encoding))
        line = refused(capsys, folder, "--labels", labels)
        assert line == f"{labels}: not UTF-8 text; save it in the spreadsheet as `CSV UTF-8`"
    line = refused(capsys, folder, "--labels", folder / "no.csv")
    assert line.startswith(f"{folder}/no.csv: cannot be read (No such file or directory); ")


def test_wrong_folders_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, folder / "no").startswith(f"{folder}/no: no such folder; ")
    assert refused(capsys, folder).startswith(f"{folder}: no video in it or in its sub-folders; ")
    (folder / "a.mp4").touch()
    assert "a.mp4 is in no sub-folder named as its sign; " in refused(capsys, folder)
    for name in ("x", "y"):
        (folder / name).mkdir()
        (folder / name / "a.mp4").touch()
    labels = write_labels(folder / "labels.csv", [["x/a.mp4", "A"]], "video,label")
    line = refused(capsys, folder / "new", "--videos", folder, "--labels", labels)
    assert "all 1 clips are of the sign 'A'" in line
    labels = write_labels(folder / "labels.csv", [["a", "A"]], "video,label")
    line = refused(capsys, folder / "new", "--videos", folder, "--labels", labels)
    assert f"'a' may be a.mp4 or x/a.mp4 or y/a.mp4; write the path below {folder}" in line
    (folder / " b.mp4").touch()
    assert "the name ' b.mp4' begins with a space" in refused(capsys, folder)
    (folder / " b.mp4").rename(folder / "\udcfe.mp4")  # an older encoding
    assert r"the name '\udcfe.mp4' begins with" in refused(capsys, folder)


def test_names_are_of_ascii_letters() -> None:
    found = sample_names(["Şişli ığdır (1).mp4", "a/你好.mp4", "-x.y.mp4", "Straße.mp4"])
    assert found == ["Sisli_igdir_1", "clip", "x_y", "Strasse"]
    assert sample_names(["a/1.mp4", "b/1.mp4", "b/İ.mp4", "b/i.avi"]) == [
        "a_1",
        "b_1",
        "b_I",
        "b_i-2",
    ]


NAMES = st.lists(st.text(st.characters(exclude_characters="/\0"), min_size=1), unique=True)


@given(NAMES)
def test_names_are_valid_and_unique(texts: list[str]) -> None:
    found = sample_names([f"{text}.mp4" for text in texts])
    assert all(SAMPLE_NAME.fullmatch(name) for name in found)
    assert len({name.lower() for name in found}) == len(texts)


@given(st.dictionaries(st.text(min_size=1), st.integers(3, 40), min_size=1))
def test_a_split_by_clip_has_every_label_in_each_split(counts: dict[str, int]) -> None:
    labels = [label for label, count in counts.items() for _ in range(count)]
    split = clip_split(labels, val=0.15, test=0.2, seed=1)
    found = Counter(zip(labels, split, strict=True))
    for label, count in counts.items():
        for name, share in (("val", 0.15), ("test", 0.2)):
            assert 1 <= found[label, name] <= share * count + 1
        assert found[label, "train"] >= 1
    assert split == clip_split(labels, val=0.15, test=0.2, seed=1)


def test_a_split_by_clip_needs_three_clips() -> None:
    with pytest.raises(ValueError, match="a: 2 clips are too few"):
        clip_split(["a", "a"], val=0.1, test=0.1, seed=1)


def test_hidden_folders_are_left_out(folder: Path) -> None:
    (folder / ".trash").mkdir()
    (folder / ".trash" / "a.mp4").touch()
    with pytest.raises(DataError, match="no video in it"):
        find_videos(folder)


def test_what_is_written_is_not_long(folder: Path) -> None:
    main(["init", str(folder), "--labels", str(write_labels(folder / "l.csv", clips(folder)))])
    text = (folder / "config.yaml").read_text()
    assert len(text.splitlines()) < 70
    assert max(map(len, text.splitlines())) < 110 + len(str(folder))
    assert isinstance(yaml.safe_load(text), dict)
    assert (folder / "samples.csv").read_text().splitlines()[0] == ",".join(COLUMNS)

"""`slr init`: a config and a sample table for a folder of videos. No video is opened."""

import os
import subprocess
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from slr_pipeline.cli.init import ignore_videos
from slr_pipeline.cli.main import main
from slr_pipeline.cli.predict import find_files
from slr_pipeline.config.experiment import SPLITS, Config, read_config
from slr_pipeline.samples.clip_folder import find_videos, read_labels, sample_names
from slr_pipeline.samples.requirements import check_streams
from slr_pipeline.samples.splits import clip_split
from slr_pipeline.samples.table import SAMPLE_NAME, SampleTable, load_samples
from tests.shared_data import CASES, NEEDS_CASES
from tests.test_text import KEPT

Refused = Callable[..., str]
SIGNS = ("merhaba", "teşekkürler")
PEOPLE = ("Ayşe", "Ben", "Çağla", "Ümit", "Zoë")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with a blank in its name."""
    path = tmp_path / "my signs"
    path.mkdir()
    return path


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def make_clips(folder: Path, people: tuple[str, ...] = PEOPLE) -> list[list[str]]:
    """Two empty files of each sign by each person; the rows of their CSV."""
    rows = [
        [f"{person} {sign} {take}.MP4".strip(), sign, person]
        for person in people
        for sign in SIGNS
        for take in "12"
    ]
    touch(folder, *(row[0] for row in rows))
    return rows


def write_labels(folder: Path, rows: list[list[str]]) -> Path:
    columns = ["video", "label", "signer"][: len(rows[0])]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"


def init(*arguments: Path | str) -> None:
    main(["init", *map(str, arguments)])


def checked(folder: Path) -> tuple[Config, SampleTable]:
    """The written config and sample table, after all checks."""
    config = read_config(str(folder / "config.yaml"))
    table = load_samples(config.data)
    check_streams(config, table)
    return config, table


def test_clips_and_a_csv_become_a_checked_config_split_by_signer(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_labels(folder, make_clips(folder))
    touch(folder, "x.mp4", "y.mp4")
    init(folder, "--labels", labels)
    out = capsys.readouterr().out
    assert f"left out, not in {labels}: 2 (x.mp4, y.mp4)\n" in out
    assert "20 clips of 2 signs: merhaba 10, teşekkürler 10\n" in out
    assert f"  slr check '{folder}/config.yaml'\n" in out
    assert "warning" not in out

    config, table = checked(folder)
    device = "auto" if torch.cuda.device_count() else "cpu"
    assert (config.name, config.device) == ("my_signs", device)
    assert config.results == str(folder / "results")
    assert list(config.streams) == ["joint", "bone", "rgb"]
    assert config.tracks["rgb"].streams == dict.fromkeys(config.streams)  # fitted on val
    assert table.classes == SIGNS
    assert [len(table.split(split)) for split in SPLITS] == [12, 4, 4]
    assert len({(s.signer, s.split) for s in table.samples}) == len(PEOPLE)
    assert all(Path(sample.color).is_file() for sample in table.samples)
    rows = pd.read_csv(folder / "samples.csv")
    assert list(rows.columns) == ["sample", "split", "label", "signer", "color"]
    first = rows.iloc[0].drop("split").tolist()
    assert first == ["Ayse_merhaba_1", "merhaba", "Ayşe", "Ayşe merhaba 1.MP4"]
    text = (folder / "config.yaml").read_text()
    assert len(text.splitlines()) < 70
    assert max(map(len, text.splitlines())) < 110 + len(str(folder))
    assert isinstance(yaml.safe_load(text), dict)


def test_sub_folders_are_signs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos, folder = tmp_path / "videos", tmp_path / "new" / "run"
    for sign in ("evet", "hayır"):
        touch(videos / sign, *(f"monday/{number}.mov" for number in range(5)))
    touch(videos / "evet", "._0.mov", "notes.txt")  # macOS leaves the first beside a file
    touch(videos, ".git/x.txt", ".trash/a.mp4", ".b.mp4")
    (videos / ".snakemake" / "locks").mkdir(parents=True)
    (videos / "tamam").mkdir()
    init(folder, "--videos", videos)
    out = capsys.readouterr().out
    assert "left out, hidden by a dot: 3 (.b.mp4, .trash/a.mp4, evet/._0.mov)\n" in out
    assert "left out, not videos: 1 (evet/notes.txt)\n" in out
    assert "left out, empty folders: 1 (tamam)\n" in out
    assert out.count("left out") == 3
    assert "  train: 6 clips\n" in out
    assert "warning: split by clip and not by signer: 10 clips have no signer." in out
    rows = pd.read_csv(folder / "samples.csv")
    assert rows["sample"][:2].tolist() == ["evet_monday_0", "evet_monday_1"]
    assert rows.groupby(["label", "split"]).size().to_dict() == {
        (sign, split): count
        for sign in ("evet", "hayır")
        for split, count in (("train", 3), ("val", 1), ("test", 1))
    }
    config, _ = checked(folder)
    assert config.data.root == str(videos)  # type: ignore[union-attr]
    assert not [*videos.glob("*.csv"), *videos.glob("*.yaml")]


def test_class_folders_that_are_links_are_followed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Links in a circle, to folders above, to a folder that is read anyway, and to nothing."""
    store = tmp_path / "store"
    touch(store, *(f"{sign}/{n}.mp4" for sign in ("evet", "no") for n in range(4)))
    touch(store, "evet/more/5.mp4", "6.mp4")
    touch(folder, *(f"tamam/{n}.mp4" for n in range(3)))
    (folder / "evet").symlink_to(store / "evet", target_is_directory=True)
    (folder / "tamam/6.mp4").symlink_to(store / "6.mp4")
    (store / "evet/more/round").symlink_to(store / "evet", target_is_directory=True)
    (store / "evet/all").symlink_to(tmp_path, target_is_directory=True)
    (folder / "twice").symlink_to("tamam", target_is_directory=True)
    (folder / "hayır").symlink_to(tmp_path / "unmounted", target_is_directory=True)
    (folder / "tamam/7.mp4").symlink_to("8.mp4")
    init(folder)
    out = capsys.readouterr().out
    assert "9 clips of 2 signs: evet 5, tamam 4\n" in out
    read_anyway = "3 (twice, evet/all, evet/more/round)"
    assert f"left out, links to a folder that is read anyway: {read_anyway}\n" in out
    assert "left out, links to nothing: 2 (hayır, tamam/7.mp4)\n" in out
    assert len(find_files([str(folder)])) == 9
    nothing = f"{folder}: left out, links to nothing: 2 (hayır, tamam/7.mp4)\n"
    assert nothing in capsys.readouterr().err
    assert all(Path(sample.color).is_file() for sample in checked(folder)[1].samples)


def test_a_folder_of_links_only_is_a_folder_of_videos(folder: Path, tmp_path: Path) -> None:
    for sign in SIGNS:
        touch(tmp_path / "disk" / sign, "1.mp4", "2.mp4", "3.mp4")
        (folder / sign).symlink_to(tmp_path / "disk" / sign, target_is_directory=True)
    init(folder)
    assert checked(folder)[1].classes == SIGNS
    assert len(find_files([str(folder)])) == 6


def test_a_folder_that_cannot_be_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as name:
        videos = Path(name)
        touch(videos, "a/1.mp4", "b/2.mp4")
        videos.chmod(0o755)
        (videos / "b").chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # root reads everything
        try:
            assert find_videos(videos) == (["a/1.mp4"], {"folders that cannot be read": ["b"]})
        finally:
            os.seteuid(user)
            (videos / "b").chmod(0o755)


ONE_SIGN_EACH = [
    [f"{number}{take}.mp4", f"sign {number}", person]
    for number, person in enumerate(PEOPLE)
    for take in range(4)
]


@pytest.mark.parametrize(
    ("people", "reason"),
    [
        (PEOPLE[:3], "there are 3 signers and a split by signer needs 4. "),
        (("", "Ben", "Cem", "Ada"), "4 clips have no signer. "),
        (None, "train would have no clip of sign "),
    ],
)
def test_signers_that_cannot_be_kept_apart_are_a_warning(
    people: tuple[str, ...] | None, reason: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the last case each signer has a sign of their own."""
    rows = ONE_SIGN_EACH if people is None else make_clips(folder, people)
    touch(folder, *(row[0] for row in rows))
    init(folder, "--labels", write_labels(folder, rows))
    (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("warning"))
    assert f"not by signer: {reason}" in line
    assert line.endswith("not for new ones")
    config, _ = checked(folder)
    assert not config.data.signer_independent


@pytest.mark.parametrize("separator", ",;\t")
def test_what_spreadsheets_write_is_read(separator: str, folder: Path) -> None:
    text = "Video,Label,Signer\r\na 1.mp4,günaydın,Ayşe\r\n,,\r\nb.mp4, İyi ,\r\n"
    path = folder / "labels.csv"
    path.write_bytes("\ufeff".encode() + text.replace(",", separator).encode())
    assert read_labels(path) == [(2, "a 1.mp4", "günaydın", "Ayşe"), (4, "b.mp4", "İyi", "")]


@NEEDS_CASES
@pytest.mark.parametrize("name", ["labels_macos_u202f", "labels_persian_zwnj"])
def test_reported_names_and_labels_of_other_scripts_are_kept(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = CASES / f"names/{name}.csv"
    given = pd.read_csv(labels)
    touch(folder, *given["video"])
    init(folder, "--labels", labels)
    out = capsys.readouterr().out
    assert all(f"{sign} 10" in out for sign in given["label"].unique())
    _, table = checked(folder)
    assert table.classes == tuple(sorted(given["label"].unique()))
    assert {Path(sample.color).name for sample in table.samples} == set(given["video"])


def test_names_of_every_script_work_as_folders_and_in_a_table(folder: Path) -> None:
    signs = [*KEPT.values()]
    touch(folder, *(f"{sign}/{sign} {take}.mp4" for sign in signs for take in range(3)))
    init(folder)
    assert set(checked(folder)[1].classes) == set(signs)
    assert len(find_files([str(folder)])) == 3 * len(signs)
    rows = [[f"{sign} {take}".replace("\u202f", " "), sign] for sign in signs for take in range(3)]
    init(folder / "again", "--videos", folder, "--labels", write_labels(folder, rows))
    assert set(checked(folder / "again")[1].classes) == set(signs)


def test_spellings_of_labels_and_signers_are_unified_or_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = make_clips(folder)
    rows[0][1], rows[1][1], rows[2][2] = "merhaba\u00a0", "\u200bmerhaba", "ayşe"
    rows[4][2], rows[5][2] = "Ben\u200b", "Be\u00adn"
    touch(folder, *(f"{take} x.mp4" for take in range(3)))
    rows += [[f"{take} x.mp4", "Merhaba", "Ben"] for take in range(3)]
    init(folder, "--labels", write_labels(folder, rows))
    warnings = [x for x in capsys.readouterr().out.splitlines() if x.startswith("warning: ")]
    assert [x.split(" look alike")[0] for x in warnings[:2]] == [
        "warning: labels 'Merhaba' and 'merhaba'",
        "warning: signers 'Ayşe' and 'ayşe'",
    ]
    table = pd.read_csv(folder / "samples.csv")
    assert set(table["label"]) == {"Merhaba", *SIGNS}
    assert set(table["signer"]) == set(PEOPLE)
    assert (table.groupby("signer")["split"].nunique() == 1).all()


def test_a_video_is_named_by_path_name_or_stem_in_any_normal_form(folder: Path) -> None:
    videos = ("x/ağaç.mp4", "y/ev.mp4", "y/su.mov", "su.mov", "z/a.mp4", "z/b.mp4")
    touch(folder, *(unicodedata.normalize("NFD", video) for video in videos))
    rows = [["ağaç", "A"], ["ev.mp4", "A"], ["y\\su.mov", "A"], ["su.mov", "B"]]
    init(folder, "--labels", write_labels(folder, [*rows, ["z/a", "B"], ["b", "B"]]))
    videos_used = [Path(sample.color) for sample in checked(folder)[1].samples]
    assert all(path.is_file() for path in videos_used)
    first_parts = [path.relative_to(folder).parts[0] for path in videos_used]
    assert first_parts == [*"xyy", "su.mov", *"zz"]


@pytest.mark.parametrize("videos", [None, "my signs/clips", "clips"])
def test_the_folder_can_move(
    videos: str | None, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clips = Path(videos or "my signs")
    labels = write_labels(folder, make_clips(clips))
    init("my signs", "--labels", labels, *(["--videos", tmp_path / videos] if videos else []))
    assert (str(tmp_path) in (folder / "config.yaml").read_text()) == (videos == "clips")
    new = tmp_path / "disk" / "signs"
    new.parent.mkdir()
    folder.rename(new)
    monkeypatch.chdir(new.parent)
    config, table = checked(Path("signs"))
    assert config.results == "signs/results"
    assert all(Path(sample.color).is_file() for sample in table.samples)


@pytest.mark.parametrize("present", [None, b"*.tmp", b"/results/\n\xff\n"])
def test_git_adds_no_recording(present: bytes | None, folder: Path) -> None:
    labels = write_labels(folder, make_clips(folder))
    touch(folder, "deep/er/x.MoV", "y.webm", "results/report/index.html", "notes.txt")
    if present is not None:
        (folder / ".gitignore").write_bytes(present)
    init(folder, "--labels", labels)
    git = ("git", "-C", str(folder))
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    added = subprocess.run([*git, "ls-files"], check=True, capture_output=True, text=True)
    expected = [".gitignore", "config.yaml", "labels.csv", "notes.txt", "samples.csv"]
    assert added.stdout.split() == expected
    before = (folder / ".gitignore").read_bytes()
    assert before.startswith(present or b"#")
    ignore_videos(folder)
    assert (folder / ".gitignore").read_bytes() == before


@pytest.mark.parametrize("name", ["config.yaml", "samples.csv"])
def test_nothing_is_overwritten(name: str, folder: Path, refused: Refused) -> None:
    labels = write_labels(folder, make_clips(folder))
    (folder / name).write_text("mine")
    line = refused("init", folder, "--labels", labels)
    assert line.startswith(f"{folder / name}: exists already; ")
    assert (folder / name).read_text() == "mine"
    assert len([*folder.glob("*.yaml"), *folder.glob("samples*")]) == 1


def test_both_files_are_written_or_none(
    folder: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = write_labels(folder, make_clips(folder))
    out = folder / "taken"
    out.write_text("a file, not a folder")
    line = refused("init", out, "--videos", folder, "--labels", labels)
    assert line.startswith(f"{out}: cannot be written (")
    assert out.read_text() == "a file, not a folder"
    (folder / "new/config.yaml").mkdir(parents=True)  # the second of the two fails
    monkeypatch.setattr(Path, "exists", lambda path: path.is_file())
    line = refused("init", folder / "new", "--videos", folder, "--labels", labels)
    assert line.startswith(f"{folder / 'new'}: cannot be written (Is a directory)")
    assert [path.name for path in (folder / "new").iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("video,label,signer", "video,sign,signer"), "expected a header of video,label,signer"),
        (("video,label,signer\n", ""), "video,label,signer (needed: video,label), found 'a"),
        (("a1.mp4,A", "a9.mp4,A"), ", line 2: no video 'a9.mp4' in {folder}; is it 'a"),
        (("a1.mp4,A", "a1.mp4,"), ", line 2: no label; add it, or remove the line"),
        (("a1.mp4,A", ",A"), ", line 2: no video; add it, or remove the line"),
        (("a1.mp4,A", "a1.mp4,A,B"), ", line 2: expected 3 cells, found 4; "),
        (("a1.mp4", "a2.mp4"), ", line 3: a2.mp4 appears in line 2 too; remove one"),
        ((",B,", ",A,"), ": all 6 clips are of the sign 'A'; "),
        (("a1.mp4,A", "a\u2028.mp4,A"), ", line 2: a line break or control character in "),
        (("b1.mp4,B", "b1.mp4,C"), ": each sign needs 3 clips, and 2 signs have fewer (B, C"),
        ((",A,", ",1,", ",B,", ",2,"), ": the labels are numbers but not 0 to 1; subtract 1 from"),
        ((",A,", ",0,", ",B,", ",2,"), ": the labels are numbers but not 0 to 1; renumber the "),
        (("a1.mp4,A", ".a1.mp4,A"), ", line 2: '.a1.mp4' is hidden by its dot; rename the file"),
        (("a1.mp4,A", '"a1.mp4"x,A'), ": not a CSV ("),
        (("a1.mp4,A", 'a1.mp4,"A\nB"'), ", line 3: a line break or control character in "),
    ],
)
def test_a_wrong_csv_is_one_line(
    change: tuple[str, ...], line: str, folder: Path, refused: Refused
) -> None:
    names = ("a1", "a2", "a3", "b1", "b2", "b3")
    touch(folder, *(f"{name}.mp4" for name in names))
    text = "video,label,signer\n" + "".join(
        f"{name}.mp4,{name[0].upper()},{'x' if name[1] == '1' else 'y'}\n" for name in names
    )
    for old, new in zip(change[::2], change[1::2], strict=True):
        text = text.replace(old, new)
    labels = folder / "labels.csv"
    labels.write_text(text)
    message = refused("init", folder, "--labels", labels)
    assert message.startswith(str(labels))
    assert line.format(folder=folder) in message
    assert not (folder / "config.yaml").exists()
    assert not (folder / "samples.csv").exists()


def test_names_without_their_zeros_are_one_line(folder: Path, refused: Refused) -> None:
    touch(folder, "0335.mp4", "0336.mp4")
    line = refused("init", folder, "--labels", write_labels(folder, [["335", "A"]]))
    assert "line 2: no video '335' in " in line
    assert ", but '0335': spreadsheets remove leading zeros; format the column as text" in line


def test_names_that_became_dates_are_one_line(folder: Path, refused: Refused) -> None:
    touch(folder, "1-2.mp4", "3-4.mp4")
    line = refused("init", folder, "--labels", write_labels(folder, [["01-Feb", "A"]]))
    assert "line 2: no video '01-Feb' in " in line
    assert ": spreadsheets turn names such as 1-2 and MAR1 into dates; format the column" in line


def test_other_encodings_are_one_line(folder: Path, refused: Refused) -> None:
    make_clips(folder)
    labels = folder / "labels.csv"
    for encoding in ("cp1254", "utf-16"):
        labels.write_bytes("video,label\nçay.mp4,çay\n".encode(encoding))
        line = refused("init", folder, "--labels", labels)
        assert line == f"{labels}: not UTF-8 text; save it as a UTF-8 CSV"
    line = refused("init", folder, "--labels", folder / "no.csv")
    assert line.startswith(f"{folder}/no.csv: cannot be read (No such file or directory); ")


def test_wrong_folders_are_one_line(folder: Path, refused: Refused) -> None:
    assert refused("init", folder / "no").startswith(f"{folder}/no: no such folder; ")
    touch(folder, ".trash/a.mp4", "a.txt")
    line = refused("init", folder)
    assert line.startswith(f"{folder}: no video in it or in its sub-folders; ")
    assert line.endswith(" (left out, hidden by a dot: .trash/a.mp4; not videos: a.txt)")
    touch(folder, "a.mp4")
    assert "a.mp4 is in no sub-folder; " in refused("init", folder)
    touch(folder, "x/a.mp4", "y/a.mp4")
    elsewhere = (folder / "new", "--videos", folder, "--labels")
    line = refused("init", *elsewhere, write_labels(folder, [["x/a.mp4", "A"]]))
    assert "all 1 clips are of the sign 'A'" in line
    line = refused("init", *elsewhere, write_labels(folder, [["a", "A"]]))
    assert f"'a' may be a.mp4 or x/a.mp4 or y/a.mp4; give the path below {folder}" in line
    touch(folder, " b.mp4")
    assert "the name ' b.mp4' begins or ends with a blank" in refused("init", folder)
    (folder / " b.mp4").rename(folder / "\udcfe.mp4")  # an older encoding
    assert r"'\udcfe.mp4': the name has a control character or undecod" in refused("init", folder)


def test_names_are_of_ascii_letters() -> None:
    names = sample_names(["Şişli ığdır (1).mp4", "a/你好.mp4", "-x.y.mp4", "Straße.mp4"])
    assert names == ["Sisli_igdir_1", "clip", "x_y", "Strasse"]
    names = sample_names(["a/1.mp4", "b/1.mp4", "b/İ.mp4", "b/i.avi"])
    assert names == ["a_1", "b_1", "b_I", "b_i-2"]


@given(st.lists(st.text(st.characters(exclude_characters="/\0"), min_size=1), unique=True))
def test_names_are_valid_and_unique(texts: list[str]) -> None:
    names = sample_names([f"{text}.mp4" for text in texts])
    assert all(SAMPLE_NAME.fullmatch(name) for name in names)
    assert len({name.lower() for name in names}) == len(texts)


@given(st.dictionaries(st.text(min_size=1), st.integers(3, 40), min_size=1))
def test_a_split_by_clip_has_every_label_in_each_split(counts: dict[str, int]) -> None:
    labels = [label for label, count in counts.items() for _ in range(count)]
    split = clip_split(labels, val=0.15, test=0.2, seed=1)
    number = Counter(zip(labels, split, strict=True))
    for label, count in counts.items():
        for name, share in (("val", 0.15), ("test", 0.2)):
            assert 1 <= number[label, name] <= share * count + 1
        assert number[label, "train"] >= 1
    assert split == clip_split(labels, val=0.15, test=0.2, seed=1)
    with pytest.raises(ValueError, match="x: 2 clips are too few"):
        clip_split(["x", "x"], val=0.1, test=0.1, seed=1)


def add(*arguments: Path | str) -> None:
    main(["add", *map(str, arguments)])


def splits_of(folder: Path) -> dict[str, str]:
    table = pd.read_csv(folder / "samples.csv", keep_default_na=False)
    return dict(zip(table["color"], table["split"], strict=True))


def test_added_clips_leave_the_others_as_they_are(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = make_clips(folder)
    init(folder, "--labels", write_labels(folder, rows))
    before, config = splits_of(folder), (folder / "config.yaml").read_bytes()
    split_of_signer = {signer: before[video] for video, _, signer in rows}
    again = [[f"again {signer}.mp4", SIGNS[0], signer] for signer in PEOPLE]
    new = [[f"{sign} {take} {who}.mov", sign, who] for sign in SIGNS for take in "12345678"
           for who in ("Filiz", "Gül", "Halil")]  # fmt: skip
    moved = [[video, SIGNS[1], signer] for video, _, signer in rows[:1]]
    touch(folder, *(row[0] for row in (*again, *new)), "no label.mp4")
    capsys.readouterr()
    labels = write_labels(folder, [*moved, *again, *new])
    add(folder, "--labels", labels)
    out = capsys.readouterr().out
    assert f"left out, not in {labels}: 1 (no label.mp4)\n" in out
    assert f"keeps its label, which is not that of {labels}: {rows[0][0]}\n" in out
    assert f"added to {folder}/samples.csv: 53 clips of 2 signs: " in out
    after = splits_of(folder)
    assert {video: after[video] for video in before} == before
    assert {video: after[video] for video, *_ in again} == {
        video: split_of_signer[signer] for video, _, signer in again
    }
    assert len({(signer, after[video]) for video, _, signer in new}) == 3
    assert [*after.values()].count("train") / len(after) == pytest.approx(0.65, abs=0.1)
    assert (folder / "config.yaml").read_bytes() == config
    checked(folder)
    text = (folder / "samples.csv").read_bytes()
    add(folder, "--labels", labels)
    assert "nothing to add" in capsys.readouterr().out
    assert (folder / "samples.csv").read_bytes() == text


def test_clips_are_added_where_signers_are_unknown(folder: Path, refused: Refused) -> None:
    for sign in ("evet", "hayır"):
        touch(folder, *(f"{sign}/{number}.mp4" for number in range(10)))
    init(folder)
    before = splits_of(folder)
    for sign in ("evet", "hayır", "yeni"):
        touch(folder, *(f"{sign}/{number}.mp4" for number in range(10, 20)))
    add(folder)
    after = splits_of(folder)
    assert {video: after[video] for video in before} == before
    for sign in ("evet", "hayır", "yeni"):
        count = Counter(split for video, split in after.items() if video.startswith(sign))
        clips = count.total()
        assert (count["val"], count["test"]) == (max(1, round(0.15 * clips)), clips // 5)
    table = pd.read_csv(folder / "samples.csv")
    assert table["sample"].is_unique
    touch(folder, "az/1.mp4")
    assert "each sign needs 3 clips, and 1 signs have fewer (az)" in refused("add", folder)
    assert splits_of(folder) == after


def test_clips_that_cannot_be_dealt_are_one_line(folder: Path, refused: Refused) -> None:
    rows = make_clips(folder)
    init(folder, "--labels", write_labels(folder, rows))
    before = splits_of(folder)
    test_signer = next(signer for video, _, signer in rows if before[video] == "test")
    touch(folder, "x.mp4", "y1.mp4", "y2.mp4", "y3.mp4")
    line = refused("add", folder, "--labels", write_labels(folder, [["x.mp4", SIGNS[0], ""]]))
    assert "it is split by signer, and 1 new clips have no signer: x.mp4; name" in line
    new = [[f"y{take}.mp4", "yeni", test_signer] for take in "123"]
    line = refused("add", folder, "--labels", write_labels(folder, new))
    assert "train would have no clip of yeni; add clips of it by a signer of train" in line
    assert splits_of(folder) == before
    assert "elsewhere/config.yaml: " in refused("add", folder / "elsewhere")

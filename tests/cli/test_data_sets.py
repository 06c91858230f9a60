"""`slr init --from`: miniatures in the formats that public data sets publish."""

import csv
import json
import re
import shlex
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slr_pipeline.cli.main import main
from slr_pipeline.config.experiment import read_config
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.verified import write_verified
from slr_pipeline.io.video import read_frames
from slr_pipeline.samples.requirements import check_streams
from slr_pipeline.samples.segments import Segment
from slr_pipeline.samples.table import SampleTable, load_samples
from slr_pipeline.skeleton import KEYPOINTS_133
from slr_pipeline.steps.keypoints import keypoints
from slr_pipeline.steps.verify import verify_sample
from tests.pose.foreign import truth, write_asl_signs
from tests.shared_data import SHARED
from tests.videos import signer, write

SPLITS = ("train", "val", "test")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


PAGE = Path(__file__).parents[2] / "docs/how-to/datasets.md"
COMMANDS = re.findall(r"^\| .* \| `slr (init .*?)` \|", PAGE.read_text(), re.MULTILINE)


def follow(source: str, *more: str) -> SampleTable:
    """The table that the documented command of a format writes, in a folder `data`."""
    (command,) = (command for command in COMMANDS if f"--from {source}" in command)
    main([*shlex.split(command), *more])
    return checked(Path("data", source.replace("-", "_")).absolute())


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A maker of the folder of a format."""
    monkeypatch.chdir(tmp_path)

    def make(source: str) -> Path:
        folder = tmp_path / "data" / source
        folder.mkdir(parents=True)
        return folder

    return make


def init(folder: Path, *arguments: Path | str) -> SampleTable:
    """The table that a command writes."""
    main(["init", str(folder), *map(str, arguments)])
    return checked(folder)


def checked(folder: Path) -> SampleTable:
    """The written table, after all checks."""
    config = read_config(str(folder / "config.yaml"))
    table = load_samples(config.data)
    check_streams(config, table)
    assert all(Path(sample.color).is_file() for sample in table.samples)
    return table


def refused(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: Path | str) -> str:
    with pytest.raises(SystemExit):
        main(["init", str(folder), *map(str, arguments)])
    assert not (folder / "samples.csv").exists()
    return capsys.readouterr().err


def instance(number: int, split: str, url: str = "http://aslbricks.org/x.mp4", **more: int) -> dict:
    """As in WLASL_v0.3.json."""
    return {
        "bbox": [385, 37, 885, 720],
        "fps": 25,
        "frame_end": -1,
        "frame_start": 1,
        "instance_id": number,
        "signer_id": number % 3,
        "source": "aslbrick",
        "split": split,
        "url": url,
        "variation_id": 0,
        "video_id": f"{number:05d}",
        **more,
    }


def wlasl(folder: Path, glosses: dict[str, list[dict]]) -> Path:
    content = [{"gloss": gloss, "instances": listed} for gloss, listed in glosses.items()]
    (folder / "WLASL_v0.3.json").write_text(json.dumps(content, indent=4))
    return folder / "WLASL_v0.3.json"


def test_wlasl(data: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Three clips of five are there, and raw videos of YouTube with frame numbers from 1."""
    folder = data("wlasl")
    raw = {"url": "https://www.youtube.com/watch?v=hjS0dQDgbjo&t=3", "frame_start": 11}
    glosses = {
        "book": [instance(n, split) for n, split in enumerate(SPLITS, start=1)],
        "drink": [instance(4, "train", **raw, frame_end=20), instance(5, "test")],
        "lost": [instance(6, "train"), instance(7, "test")],
        "last": [instance(8, "test")],
    }
    wlasl(folder, glosses)
    touch(folder, "videos/00001.mp4", "videos/00002.mp4", "videos/00003.mp4", "videos/00007.mp4")
    touch(folder, "raw_videos/00001.mp4")  # uncut
    write(folder / "raw_videos/hjS0dQDgbjo.mp4", signer(64, 48, 4))
    table = follow("wlasl")
    out = capsys.readouterr().out
    assert (
        "missing: 3 of 8 videos (train 1, test 2), of 3 classes: drink 1, lost 1, last 1\n" in out
    )
    assert "2 of 4 classes have no video in train (lost 2, last 1), and with them 1 videos\n" in out
    assert table.classes == ("book", "drink")
    samples = {sample.name: sample for sample in table.samples}
    assert list(samples) == ["00001", "00002", "00003", "00004"]
    assert samples["00004"].segment == Segment(0.4, 0.8)  # frames 11 to 20 of 25 a second
    assert (samples["00002"].split, samples["00002"].signer) == ("val", "2")
    assert samples["00001"].color == str(folder / "videos/00001.mp4")
    assert samples["00001"].segment is None


def test_wlasl_by_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {
        f"{n:05d}": {"subset": split, "action": [n % 2, 1, 55]}
        for n, split in enumerate([*SPLITS, "train"])
    }
    (tmp_path / "nslt_2.json").write_text(json.dumps(content))
    touch(tmp_path, *(f"videos/{name}.mp4" for name in content))
    table = init(tmp_path, "--from", "wlasl")
    assert table.classes == ("class 0", "class 1")
    assert [sample.label for sample in table.samples] == [0, 1, 0, 1]
    assert "has numbers instead of glosses" in capsys.readouterr().out


@pytest.mark.skipif(not (SHARED / "wlasl100").is_dir(), reason="no wlasl100 in SLR_SHARED_DATA")
def test_all_of_wlasl_100(tmp_path: Path) -> None:
    lists = SHARED / "wlasl100/WLASL100.json"
    init(tmp_path, "--from", "wlasl", "--videos", SHARED, "--labels", lists)
    tables = [
        pd.read_csv(folder / "samples.csv", dtype=str) for folder in (tmp_path, SHARED / "wlasl100")
    ]
    assert tables[0].equals(tables[1])


def test_ms_asl(data: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Clips of videos of YouTube; one is listed twice, one ends before it starts."""
    folder = data("msasl")

    def clip(video: str, start: float, end: float, label: int) -> dict:
        return {
            "org_text": "Nice",
            "clean_text": f"sign {label}",
            "start_time": start,
            "signer_id": label,
            "signer": 0,
            "start": int(25 * start),
            "end": int(25 * end),
            "file": "a title of a video",
            "label": label,
            "height": 360.0,
            "fps": 25.0,
            "end_time": end,
            "url": f"www.youtube.com/watch?v={video}",
            "text": "nice",
            "box": [0.05, 0.21, 0.98, 0.83],
            "width": 640.0,
        }

    lists = {
        "train": [clip("aaaaaaaaaaa", n, n + 1.2, n % 2) for n in range(4)],
        "val": [clip("bbb-bbb_bbb", 0, 1.5, 0), clip("bbb-bbb_bbb", 0.1, 1.5, 0)],
        "test": [clip("aaaaaaaaaaa", 9, 9.5, 1), clip("ccccccccccc", 9, 10, 1)],
    }
    lists["train"] += [clip("aaaaaaaaaaa", 8, 8, 1), clip("aaaaaaaaaaa", 20, 21, 100)]
    for split, content in lists.items():
        (folder / f"MSASL_{split}.json").write_text(json.dumps(content))
    touch(folder, "aaaaaaaaaaa.mp4", "bbb-bbb_bbb.webm")
    table = follow("msasl")
    assert table.classes == ("sign 0", "sign 1")
    assert [sample.name for sample in table.samples] == [
        *(f"train_{n:05d}" for n in range(1, 5)),
        *("val_00001", "test_00001"),
    ]
    assert table.samples[1].segment == Segment(1, 2.2)
    out = capsys.readouterr().out
    assert "missing: 1 of 9 videos (test 1), of 1 classes: sign 1 1\n" in out
    assert "left out, their end is not after their start: train_00005\n" in out
    assert "nearly the same segment of the same sign as another: 1 (val_00002)\n" in out


def test_asl_citizen(data: Callable[[str], Path]) -> None:
    """Glosses come from the lists, not from the names of videos."""
    folder = data("asl_citizen")
    (folder / "splits").mkdir()
    for split in SPLITS:
        with (folder / f"splits/{split}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["Participant ID", "Video file", "Gloss", "ASL-LEX Code"])
            for number, gloss in enumerate(("HURDLE/TRIP1", "a, b")):
                video = f"4.{number}{split}-seedX.mp4"
                rows.writerow([f"P{split}", video, gloss, "C_02_014"])
                touch(folder, f"videos/{video}")
    table = follow("asl-citizen")
    assert table.classes == ("HURDLE/TRIP1", "a, b")
    assert [sample.name for sample in table.samples[:2]] == ["4.0train-seedX", "4.1train-seedX"]
    assert read_config(str(folder / "config.yaml")).data.signer_independent


def test_asl_signs(data: Callable[[str], Path]) -> None:
    """Landmarks without videos: pictures are drawn, keypoints imported."""
    pytest.importorskip("pyarrow", reason="the extra `formats` is not installed")
    folder = data("asl_signs")
    rows = ["path,participant_id,sequence_id,sign"]
    points = truth()[:3]
    for number, (person, sign) in enumerate(product("1234", ("blow", "wait"))):
        clip = f"train_landmark_files/{person}/{100 + number}.parquet"
        write_asl_signs(folder / clip, points)
        rows.append(f"{clip},{person},{100 + number},{sign}")
    (folder / "train.csv").write_text("\n".join([*rows, ""]))
    table = follow("asl-signs")
    assert table.classes == ("blow", "wait")
    assert {sample.name for sample in table.samples} == {str(100 + n) for n in range(8)}
    by_split = {split: {s.signer for s in table.split(split)} for split in SPLITS}
    assert sum(map(len, by_split.values())) == 4
    config = read_config(str(folder / "config.yaml"))
    assert [*config.streams] == ["joint", "bone"]
    verified, out = str(folder / "verified.csv"), str(folder / "keypoints.h5")
    row = verify_sample(table.samples[0])
    assert (row.reason, row.frames, row.width, row.height) == ("", 3, 512, 512)
    write_verified(verified, [row])
    keypoints(config.features.keypoints, "cpu", verified, [out])
    values = FeatureStore("keypoints", [out]).read(row.sample).values
    wrist = KEYPOINTS_133.index("right_wrist")
    assert np.abs(values[:, wrist, :2] - points[:, wrist, :2]).max() < 1e-3
    x, y = points[0, wrist, :2].astype(int)
    assert next(read_frames(row.color))[y, x].min() > 200


def test_lsa64(data: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = data("lsa64")
    names = [f"{s:03d}_{p:03d}_00{r}.mp4" for s in (1, 2) for p in range(1, 11) for r in (1, 2)]
    touch(folder, *(f"all/{name}" for name in names), "all/other.mp4")
    table = follow("lsa64")
    assert [len(table.split(split)) for split in SPLITS] == [32, 4, 4]
    assert table.samples[0].signer == "1"
    assert table.classes == ("sign 001", "sign 002")
    assert (
        "split by signer as in OpenHands: 1 to 8 train, 9 val, 10 test" in capsys.readouterr().out
    )


def test_include(data: Callable[[str], Path]) -> None:
    """One file name in two folders; videos that were converted to mp4."""
    folder = data("include")
    paths = ["Greetings/51. Good Morning/MVI_0099.MOV", "Animals/4. Bird/MVI_0099.MOV"]
    (folder / "train_test_paths").mkdir()
    for size in ("", "50"):
        for split in SPLITS:
            lines = [path.replace("0099", f"0099{split}") for path in paths[: 1 if size else 2]]
            lines += ["Animals/4. Bird/MVI_1.MOV"] if size and split == "train" else []
            path = folder / f"train_test_paths/include{size}_{split}.txt"
            path.write_text("\n".join(lines))
            touch(folder / "INCLUDE", *(line.replace(".MOV", ".mp4") for line in lines))
    table = follow("include")
    assert table.classes == ("Bird", "Good Morning")
    assert [sample.name for sample in table.samples[:2]] == [
        "Good_Morning_MVI_0099train",
        "Bird_MVI_0099train",
    ]
    assert table.samples[1].color.endswith("INCLUDE/Animals/4. Bird/MVI_0099train.mp4")
    (folder / "samples.csv").unlink()
    (folder / "config.yaml").unlink()
    assert len(follow("include", "--top", "50").samples) == 4


def test_include_without_its_lists(
    data: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The folders alone: the split is by clip, and said to be another than the published one."""
    folder = data("include")
    touch(folder, "Animals/notes/MVI_9.MOV")
    err = refused(capsys, folder, "--from", "include")
    assert "no video is in a folder such as Animals/4. Bird, and" in err
    assert err.count("\n") == 1
    for sign in ("Greetings/51. Good Morning", "Animals/4. Bird"):
        touch(folder, *(f"{sign}/MVI_{n:04d}.MOV" for n in range(10)))
    assert "no include50_train.txt in it" in refused(
        capsys, folder, "--from", "include", "--top", "50"
    )
    table = follow("include")
    assert table.classes == ("Bird", "Good Morning")
    assert len(table.samples) == 20
    assert {sample.split for sample in table.samples} == set(SPLITS)
    out = capsys.readouterr().out
    assert "the split is not that of INCLUDE, and results do not compare with published" in out
    assert "split by clip and not by signer: 20 clips have no signer" in out
    (folder / "include_train.txt").touch()
    for name in ("samples.csv", "config.yaml"):
        (folder / name).unlink()
    assert "no include_val.txt in it" in refused(capsys, folder, "--from", "include")


def test_autsl(data: Callable[[str], Path]) -> None:
    """The order of the classes is that of their numbers."""
    folder = data("autsl")
    (folder / "SignList_ClassId_TR_EN.csv").write_text(
        "ClassId,TR,EN\r\n0,zor,hard\r\n1,abla,sister\r\n2,yok,none\r\n"
    )
    files = {"train": "train", "val": "validation", "test": "test"}
    for number, (split, file) in enumerate(files.items()):
        names = [f"signer{number}_sample{n}" for n in (1, 2)]
        (folder / f"{file}_labels.csv").write_text(f"{names[0]},0\r\n{names[1]},1\r\n")
        touch(folder, *(f"{split}/{n}_{kind}.mp4" for n in names for kind in ("color", "depth")))
    table = follow("autsl")
    assert table.classes == ("zor", "abla")
    assert [sample.label for sample in table.samples] == [0, 1] * 3
    assert table.samples[5].depth == str(folder / "test/signer2_sample2_depth.mp4")
    assert table.samples[5].signer == "2"


BROKEN: dict[str, tuple[str, str, str]] = {
    "no list": ("wlasl", "x.txt", "no WLASL*.json or nslt_*.json in it or below it"),
    "no JSON": ("wlasl", "WLASL_v0.3.json", "WLASL_v0.3.json: not JSON"),
    "an object": ("msasl", "MSASL_train.json", "not a list of clips; download it again"),
    "no names": ("lsa64", "x.txt", "no video has a name such as 001_003_004.mp4"),
    "no column": ("asl-citizen", "train.csv", "train.csv: expected a header of participant id"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_lists_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    source, file, message = BROKEN[kind]
    touch(tmp_path, "a.mp4")
    (tmp_path / file).write_text("{}" if kind == "an object" else "{")
    err = refused(capsys, tmp_path, "--from", source)
    assert message in err
    assert err.count("\n") == 1


def test_a_label_that_is_no_number_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "MSASL_train.json").write_text('[{"label": "hello"}]')
    err = refused(capsys, tmp_path, "--from", "msasl", "--top", "2")
    assert "clip 1: label 'hello' is no number" in err
    assert err.count("\n") == 1


def test_nothing_is_overwritten_and_options_belong_to_formats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wlasl(tmp_path, {"a": [instance(1, "train")], "b": [instance(2, "train")]})
    touch(tmp_path, "00001.mp4", "00002.mp4")
    assert "no video of split val is there" in refused(capsys, tmp_path, "--from", "wlasl")
    assert "--top: is of wlasl and" in refused(capsys, tmp_path, "--from", "lsa64", "--top", "3")
    assert "--tier: is of elan" in refused(capsys, tmp_path, "--from", "wlasl", "--tier", "x")
    assert "--top and --tier need --from" in refused(capsys, tmp_path, "--top", "3")
    (tmp_path / "config.yaml").write_text("mine")
    assert "exists already" in refused(capsys, tmp_path, "--from", "wlasl")
    assert (tmp_path / "config.yaml").read_text() == "mine"

"""`slr overlay`: keypoints, hand boxes and answers drawn into the video of a sample."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from slr_pipeline.cli.main import main
from slr_pipeline.cli.overlay import answers
from slr_pipeline.config.experiment import check_config
from slr_pipeline.io.predictions import COLUMNS, write_answers
from slr_pipeline.io.verified import Verified, read_verified, write_verified
from slr_pipeline.io.video import probe, read_frames
from slr_pipeline.report.overlay import Note
from tests.cli.conftest import DEMO

TRAINED, TESTED = "signer0_sample1", "signer6_sample2"
ROOT = Path(__file__).parents[2]
WHITE, GREEN, RED = (255, 255, 255), (120, 230, 120), (255, 140, 130)


@pytest.fixture
def copied(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run in the working folder."""
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    monkeypatch.chdir(folder)
    return folder


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(picture - colour).max(axis=-1) < 40).any())


def test_the_command_of_the_page(copied: Path) -> None:
    command = (ROOT / "docs/how-to/predict.md").read_text().split("```\n")[1].splitlines()[-1]
    main(shlex.split(command)[1:])
    video = DEMO / "test" / f"{TESTED}_color.mp4"
    assert probe("overlay.mp4") == probe(video)
    before, after = (
        np.stack(list(read_frames(path))).astype(int) for path in (video, "overlay.mp4")
    )
    changed = (np.abs(after - before).max(axis=-1) > 40)[:, :460]
    assert 0.01 < changed.mean() < 0.2
    assert changed.any(axis=(1, 2)).all()


def test_boxes_are_those_that_crops_were_cut_from(copied: Path) -> None:
    main(["overlay", TRAINED, "--out", "stored.mp4"])
    shutil.rmtree(copied / "results/features/hand_crops")
    main(["overlay", TRAINED, "--out", "computed.mp4"])
    assert (copied / "stored.mp4").read_bytes() == (copied / "computed.mp4").read_bytes()


def row_of(answer: str, correct: bool | None = None, accepted: bool = True) -> dict[str, object]:
    """The row of the tested sample in predictions.csv."""
    row = dict.fromkeys(COLUMNS)
    known = {"sample": TESTED, "answer": answer, "probability": 0.5, "correct": correct}
    return {**row, **known, "accepted": accepted}


@pytest.mark.parametrize("correct", [True, False, None])
def test_an_unsure_answer_is_marked(correct: bool | None, tmp_path: Path) -> None:
    rows = ("sample,split,label,color", "a,train,ev,a.mp4", "b,val,ev,b.mp4")
    (tmp_path / "samples.csv").write_text("\n".join([*rows, f"{TESTED},test,,c.mp4"]))
    (tmp_path / "signs.txt").write_text("ağaç\nev")
    data = {
        "layout": "table",
        "table": f"{tmp_path}/samples.csv",
        "classes": f"{tmp_path}/signs.txt",
    }
    streams = {"joint": {"model": "slgcn"}}
    tracks = {name: {"streams": {"joint": None}} for name in ("rgb", "other", "none")}
    config = check_config({"name": "x", "data": data, "streams": streams, "tracks": tracks})
    for track, accepted in (("rgb", False), ("other", True)):
        folder = tmp_path / "tracks" / track
        folder.mkdir(parents=True)
        write_answers(folder / "predictions.csv", [row_of("ev", correct, accepted)])
    colour = {True: GREEN, False: RED, None: WHITE}[correct]
    assert list(answers(TESTED, tmp_path, config)) == [
        Note("rgb: unsure: \u2068ev\u2069", colour),
        Note("other: \u2068ev\u2069", colour),
    ]


@pytest.mark.parametrize(
    ("answer", "colours"),
    [
        ("ağaç", [True, True, False]),
        ("[red] sign", [True, False, True]),
        (None, [True, False, False]),
    ],
)
def test_an_answer_has_the_colour_of_right_or_wrong(
    copied: Path, answer: str | None, colours: list[bool]
) -> None:
    """The sign of the sample appears alone without answers."""
    for track in ("rgb", "rgbd"):
        path = copied / f"results/tracks/{track}/predictions.csv"
        path.unlink()
        if answer is not None:
            write_answers(path, [row_of(answer, correct=answer == "ağaç")])
    main(["overlay", TESTED, "--out", "out.mp4"])
    foot = next(read_frames("out.mp4"))[-40:].astype(int)
    assert [has(foot, colour) for colour in (WHITE, GREEN, RED)] == colours


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nobody"], "sample nobody is in none of the 3 tables results/verify/*/*.csv; check its"),
        (["gone"], "sample gone is quarantined: gone.mp4: there is no such file"),
        (
            [TESTED, "--results", "elsewhere"],
            "elsewhere/config.yaml: no such file; name the results folder",
        ),
        ([TESTED, "--out", "out.avi"], "--out out.avi: expected a name that ends in .mp4; rename"),
        (["own", "--out", "own.mp4"], "--out own.mp4: is the sample's own video; use another"),
        (["own"], "results/features/keypoints/test/all.h5: "),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    copied: Path, refused: Callable[..., str], arguments: list[str], line: str
) -> None:
    table = copied / "results/verify/test/all.csv"
    gone = Verified("gone", "gone.mp4", "", "gone.mp4: there is no such file")
    own = Verified("own", "own.mp4", "", "", 24, 512, 512, 25.0)
    write_verified(table, [*read_verified(table), gone, own])
    (copied / "results/features/keypoints/test/all.h5").write_bytes(b"")
    before = sorted(copied.iterdir())
    assert refused("overlay", "--out", "out.mp4", *arguments).startswith(line)
    assert sorted(copied.iterdir()) == before

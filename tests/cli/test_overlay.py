"""`slr overlay`: keypoints, hand boxes and answers drawn into the video of a sample."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from slr_pipeline.cli.main import main
from slr_pipeline.io.submission import write_submission
from slr_pipeline.io.verified import Verified, read_verified, write_verified
from slr_pipeline.io.video import probe, read_frames
from tests.cli.conftest import DEMO

TRAINED, TESTED = "signer0_sample1", "signer6_sample2"
ROOT = Path(__file__).parents[2]


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


WHITE, GREEN, RED = (255, 255, 255), (120, 230, 120), (255, 140, 130)


@pytest.mark.parametrize(
    ("label", "colours"),
    [(0, [True, True, False]), (1, [True, False, True]), (None, [True, False, False])],
)
def test_an_answer_has_the_colour_of_right_or_wrong(
    copied: Path, label: int | None, colours: list[bool]
) -> None:
    """The sign of the sample has the number 0; without answers it appears alone."""
    names = [TESTED, "signer6_sample3"]
    for track in ("rgb", "rgbd"):
        path = copied / f"results/tracks/{track}/submission.csv"
        path.unlink()
        if label is not None:
            write_submission(path, [(name, label) for name in names], names, 2)
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

"""The committed models of WLASL-100 name signs that a rendered signer shows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from slr_pipeline.cli.main import main
from slr_pipeline.io.video import probe, read_frames
from slr_pipeline.io.video_writer import write_video

ROOT = Path(__file__).parents[2]
CLIPS = sorted((ROOT / "demo/asl").glob("*.mp4"))


def recognised(clips: list[Path], capsys: pytest.CaptureFixture[str]) -> list[list[dict[str, Any]]]:
    """The answers of each clip, the most probable first."""
    capsys.readouterr()
    models = str(ROOT / "models/asl100")
    main(["predict", *map(str, clips), "--models", models, "--device", "cpu", "--json"])
    return [video["answers"] for video in json.loads(capsys.readouterr().out)["videos"]]


def test_signs_of_a_rendered_signer_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    answers = dict(zip((clip.stem for clip in CLIPS), recognised(CLIPS, capsys), strict=True))
    assert answers["fine"][0]["gloss"] == "fine"
    for sign in ("black", "fine", "mother", "tell"):
        assert sign in [answer["gloss"] for answer in answers[sign][:3]]


@pytest.mark.parametrize(
    "framed",
    [
        lambda frame: cv2.copyMakeBorder(
            frame, 300, 200, 20, 0, cv2.BORDER_CONSTANT, value=(90, 90, 90)
        ),
        lambda frame: frame[:, 60:-60],
        lambda frame: cv2.resize(frame, (320, 320), interpolation=cv2.INTER_AREA),
    ],
    ids=["padded to portrait", "cropped", "scaled"],
)
def test_framing_changes_no_answer(
    framed: Callable[[np.ndarray], np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = ROOT / "demo/asl/fine.mp4"
    frames = [np.ascontiguousarray(framed(frame)) for frame in read_frames(clip)]
    height, width = frames[0].shape[:2]
    write_video(tmp_path / "clip.mp4", frames, width=width, height=height, fps=probe(clip).fps)
    before, after = recognised([clip, tmp_path / "clip.mp4"], capsys)
    assert after[0]["gloss"] == before[0]["gloss"]
    assert after[0]["probability"] == pytest.approx(before[0]["probability"], abs=0.2)

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


def recognised(clips: list[Path], capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The entry of each clip in the JSON of `slr predict`."""
    capsys.readouterr()
    models = str(ROOT / "models/asl100")
    main(["predict", *map(str, clips), "--models", models, "--device", "cpu", "--json"])
    videos: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["videos"]
    return videos


def test_signs_of_a_rendered_signer_are_named_or_unsure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    videos = dict(zip((clip.stem for clip in CLIPS), recognised(CLIPS, capsys), strict=True))
    for sign in ("black", "fine", "mother"):
        assert videos[sign]["answers"][0]["gloss"] == sign
    assert videos["fine"]["status"] == "answered"
    assert videos["tell"]["status"] == "unsure"


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
    videos = recognised([clip, tmp_path / "clip.mp4"], capsys)
    before, after = (video["answers"][0] for video in videos)
    assert after["gloss"] == before["gloss"]
    assert after["probability"] == pytest.approx(before["probability"], abs=0.2)

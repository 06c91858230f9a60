"""OpenPose's program, replaced by one with the same flags that returns the true keypoints.

The real program needs its own build and is not run here.
"""

import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slr_pipeline.config.estimators import OpenposeSettings
from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.pose.estimators import open_estimator
from slr_pipeline.pose.interface import PoseEstimator
from tests.pose.foreign import SAMPLE, assert_right_handed, clip_of, point, truth, video

PROGRAM = """#!{python}
import json, os, sys
import numpy as np
sys.path.insert(0, {root!r})
from slr_pipeline.io.video import read_frames
from tests.pose.foreign import person_25, person_135

flags, words = {{}}, sys.argv[1:]
while words:
    word = words.pop(0)
    assert word.startswith("--"), word
    if "=" not in word:
        word += "=true" if not words or words[0].startswith("--") else "=" + words.pop(0)
    name, value = word[2:].split("=", 1)
    flags[name] = value
json.dump(sys.argv[1:], open({log!r}, "w"))
points = np.load({truth!r})
known = {{"video", "write_json", "model_folder", "model_pose", "face", "hand", "number_people_max",
         "keypoint_scale", "frame_flip", "display", "render_pose", "net_resolution"}}
assert set(flags) <= known, set(flags) - known
assert flags["display"] == flags["render_pose"] == flags["keypoint_scale"] == "0"
assert flags["frame_flip"] == "false"
model = flags["model_pose"]
assert os.path.isdir(os.path.join(flags["model_folder"], "pose", model.lower()))
assert sum(1 for _ in read_frames(flags["video"])) >= len(points)
stem = os.path.splitext(os.path.basename(flags["video"]))[0]
assert ("face" in flags) == ("hand" in flags) == (model == "BODY_25")
person = person_25 if model == "BODY_25" else person_135
for number, frame in enumerate(points):
    people = [person(frame * np.array([0.3, 0.3, 1])), person(frame)] if frame.any() else []
    if flags["number_people_max"] != "-1":
        people = people[-int(flags["number_people_max"]):]
    name = "%s_%012d_keypoints.json" % (stem, number)
    with open(os.path.join(flags["write_json"], name), "w") as file:
        json.dump({{"version": 1.3, "people": people}}, file)
"""

# The start of a program of shell that writes one frame.
FRAME = 'while [ $1 != --write_json ]; do shift; done; file="$2/x_000000000000_keypoints.json";'

MODELS = {
    "pose/body_135/pose_iter_XXXXXX.caffemodel": b"135",
    "pose/body_135/pose_deploy.prototxt": b"deploy",
    "pose/body_25/pose_iter_584000.caffemodel": b"25",
    "face/pose_iter_116000.caffemodel": b"face",
    "hand/pose_iter_102000.caffemodel": b"hand",
}


@pytest.fixture
def points() -> np.ndarray:
    result = truth()
    result[3] = 0
    return result


@pytest.fixture
def settings(tmp_path: Path, points: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings for a program in a folder with a blank and a quote in its name."""
    folder = tmp_path / "open 'pose"
    for name, data in MODELS.items():
        (folder / "models" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "models" / name).write_bytes(data)
    np.save(folder / "truth.npy", points)
    program = folder / "openpose.bin"
    text = PROGRAM.format(
        python=sys.executable,
        root=str(Path(__file__).parents[2]),
        log=str(folder / "log.json"),
        truth=str(folder / "truth.npy"),
    )
    program.write_text(text)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    return {"binary": str(program), "model_folder": str(folder / "models")}


def opened(settings: dict[str, Any], **more: Any) -> PoseEstimator:
    return open_estimator(OpenposeSettings(estimator="openpose", **settings, **more), "cpu")


def temporary_files() -> list[str]:
    return os.listdir(tempfile.gettempdir())


@pytest.mark.parametrize("model", ["BODY_135", "BODY_25"])
def test_a_video_comes_back_as_its_keypoints(
    settings: dict[str, Any], points: np.ndarray, model: str
) -> None:
    estimator = opened(settings, model=model, arguments=["--net_resolution", "-1x480"])
    result = estimator.estimate(clip_of(points))
    if model == "BODY_135":
        points[:, [point("left_hand_root"), point("right_hand_root")]] = 0
    assert np.abs(result - points).max() < 6e-4
    assert not result[3].any()
    assert_right_handed(result[result[..., 2].any(axis=1)])
    assert estimator.name == f"openpose-{model}"
    assert temporary_files() == []


def test_the_command_has_the_users_flags_before_ours(settings: dict[str, Any]) -> None:
    flags = ["--net_resolution", "656x368", "--frame_flip", "--display", "2"]
    opened(settings, arguments=flags).estimate(clip_of(truth()))
    result = (Path(settings["binary"]).parent / "log.json").read_text()
    assert result.startswith(
        '["--net_resolution", "656x368", "--frame_flip", "--display", "2", "--video'
    )
    assert result.endswith('"--frame_flip=false", "--display", "0", "--render_pose", "0"]')


@pytest.mark.parametrize("person", ["best", "largest", "central", "tracked"])
def test_the_signer_is_chosen_by_the_program_or_by_us(
    settings: dict[str, Any], points: np.ndarray, person: str
) -> None:
    """The small person is nearer to the corner and comes first."""
    result = opened(settings, model="BODY_25", person=person).estimate(clip_of(points))
    assert np.abs(result - points).max() < 6e-4
    log = (Path(settings["binary"]).parent / "log.json").read_text()
    assert ('"--number_people_max", "1"' in log) == (person == "best")


def test_the_digest_is_of_the_files_of_the_model(settings: dict[str, Any]) -> None:
    digest = opened(settings).weights_sha256
    assert digest == opened(settings).weights_sha256
    assert digest != opened(settings, model="BODY_25").weights_sha256
    lines = (
        f"{hashlib.sha256(MODELS[name]).hexdigest()}  {name}\n"
        for name in sorted(MODELS)
        if "body_135" in name
    )
    assert digest == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_missing_program_or_model_is_an_error_before_any_video(settings: dict[str, Any]) -> None:
    with pytest.raises(SlrError, match=r"binary: /nowhere/openpose.bin does not exist; build"):
        opened({**settings, "binary": "/nowhere/openpose.bin"})
    Path(settings["model_folder"], "face/pose_iter_116000.caffemodel").unlink()
    opened(settings)
    with pytest.raises(SlrError, match=r"models/face has no .caffemodel; get the weights of BODY"):
        opened(settings, model="BODY_25")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exit 0\n", "wrote nothing; can it read the video?"),
        ("kill -9 $$\n", "ended with -9: without a message"),
        ("echo Starting >&2; echo 'no CUDA-capable device' >&2; exit 255", "255: no CUDA-capable"),
        (
            f"{FRAME} echo '{{\"people\": []}}' > $file",
            "openpose.bin gave 1 of 23 frames; check that",
        ),
        (f"{FRAME} echo '{{' > $file", "not a complete frame of OpenPose's JSON"),
        (None, "cannot be run (Exec format error); expected OpenPose's program"),
    ],
)
def test_a_failing_program_is_one_line(
    settings: dict[str, Any], text: str | None, message: str
) -> None:
    Path(settings["binary"]).write_text("no program" if text is None else f"#!/bin/sh\n{text}")
    with pytest.raises(SlrError) as caught:
        opened(settings).estimate(clip_of(truth()))
    assert message in str(caught.value)
    assert isinstance(caught.value, DataError) == (str(video()) in str(caught.value))
    assert "\n" not in str(caught.value)
    assert temporary_files() == []


def test_nothing_goes_through_a_shell(settings: dict[str, Any], tmp_path: Path) -> None:
    name = f"{SAMPLE}; touch hacked #$(touch hacked)"
    copy = tmp_path / f"{name}.mp4"
    copy.write_bytes(video().read_bytes())
    clip = clip_of(truth())
    result = opened(settings, model="BODY_25").estimate(
        type(clip)(SAMPLE, str(copy), clip.frames, clip.length, 512, 512, 25.0)
    )
    assert result.any()
    assert not list(tmp_path.rglob("hacked"))
    assert not Path("hacked").exists()

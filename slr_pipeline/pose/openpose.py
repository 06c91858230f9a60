"""OpenPose's own program, run on each video; its JSON is read and then deleted."""

import hashlib
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.estimators import OpenposeSettings
from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.io.feature_writer import Attributes
from slr_pipeline.io.foreign.openpose_json import read_folder
from slr_pipeline.io.video import sha256_of
from slr_pipeline.pose.interface import PoseClip
from slr_pipeline.pose.people import signer_keypoints
from slr_pipeline.text import shown

_MODEL_FOLDERS: Final = {
    "BODY_135": ("pose/body_135",),
    "BODY_25": ("pose/body_25", "face", "hand"),
}


class OpenPose:
    """OpenPose's demo program, which reads the videos itself; a `PoseEstimator`.

    SlrError where the program or its models are missing.
    """

    def __init__(self, settings: OpenposeSettings) -> None:
        self._settings = settings
        if not Path(settings.binary).is_file():
            raise SlrError(
                f"features.keypoints.binary: {settings.binary} does not exist; build OpenPose and "
                "name its program build/examples/openpose/openpose.bin"
            )
        self.name = f"openpose-{settings.model}"
        self.attributes: Attributes = {}
        self.weights_sha256 = _digest(Path(settings.model_folder), settings.model)

    def estimate(self, clip: PoseClip) -> NDArray[np.float32]:
        """See `PoseEstimator.estimate`.

        DataError when the program fails or does not write one file per frame.
        """
        with tempfile.TemporaryDirectory(prefix="slr-openpose-") as folder:
            self._run(clip, folder)
            if not any(Path(folder).iterdir()):
                raise DataError(
                    f"{clip.path}: {self._settings.binary} wrote nothing; can it read the video?"
                )
            foreign = read_folder(Path(folder))
        if len(foreign.frames) != clip.length:
            raise DataError(
                f"{clip.path}: {self._settings.binary} gave {len(foreign.frames)} of "
                f"{clip.length} frames; check that it reads the video to its end"
            )
        person = self._settings.person
        return signer_keypoints(foreign, clip, person="largest" if person == "best" else person)

    def _run(self, clip: PoseClip, folder: str) -> None:
        settings = self._settings
        command = [
            str(Path(settings.binary).resolve()),
            *settings.arguments,
            # Ours come last: the program uses the last value of a repeated flag.
            *("--video", str(Path(clip.path).resolve())),
            *("--write_json", folder),
            *("--model_folder", str(Path(settings.model_folder).resolve())),
            *("--model_pose", settings.model),
            *(("--face", "--hand") if settings.model == "BODY_25" else ()),
            *("--number_people_max", "1" if settings.person == "best" else "-1"),
            *("--keypoint_scale", "0"),  # pixels of the video
            "--frame_flip=false",
            *("--display", "0"),
            *("--render_pose", "0"),
        ]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=False,
            )
        except OSError as error:
            raise SlrError(
                f"{settings.binary}: cannot be run ({error.strerror}); expected OpenPose's program"
            ) from error
        if done.returncode:
            lines = done.stderr.decode(errors="replace").split("\n")
            last = next(filter(None, map(str.strip, reversed(lines))), "without a message")
            raise DataError(
                f"{clip.path}: {settings.binary} ended with {done.returncode}: {shown(last[:300])}"
            )


def _digest(models: Path, model: str) -> str:
    """One SHA-256 of the names and digests of a model's files."""
    lines = []
    for folder in _MODEL_FOLDERS[model]:
        files = sorted(path for path in (models / folder).glob("*") if path.is_file())
        if not any(path.suffix == ".caffemodel" for path in files):
            raise SlrError(
                f"features.keypoints.model_folder: {models / folder} has no .caffemodel; get the "
                f"weights of {model} and put them there, see docs/how-to/estimators.md"
            )
        lines += [f"{sha256_of(path)}  {folder}/{path.name}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()

"""MediaPipe's two estimators on real clips: sides, order and scale of COCO-WholeBody."""

import subprocess
import sys
from itertools import islice, pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

from benchmarks.keypoint_accuracy import keypoint_accuracy
from slr_pipeline.config.estimators import KeypointsSettings, WeightsFile
from slr_pipeline.errors import ArtifactError, DataError, SlrError
from slr_pipeline.io.video import read_frames
from slr_pipeline.pose.estimators import open_estimator
from slr_pipeline.pose.interface import PoseEstimator
from slr_pipeline.skeleton import BODY, FACE, FLIP_133, LEFT_HAND, RIGHT_HAND
from tests.pose.clips import pose_clip
from tests.pose.foreign import DEMO, point
from tests.pose.mediapipes import MEDIAPIPES, mediapipe_settings, tasks_settings
from tests.pose.pictures import mirrored
from tests.shared_data import SHARED

CLIPS = [  # a rendered and a real signer who face the camera with both hands visible
    DEMO / "train/signer0_sample1_color.mp4",
    SHARED / "wlasl20/videos/69241.mp4",
]

pytestmark = pytest.mark.filterwarnings("ignore:label:DeprecationWarning")  # inside mediapipe


@pytest.fixture(scope="module", params=MEDIAPIPES)
def settings(request: pytest.FixtureRequest) -> KeypointsSettings:
    return mediapipe_settings(request.param)


@pytest.fixture(scope="module")
def estimator(settings: KeypointsSettings) -> PoseEstimator:
    return open_estimator(settings, "cpu")


@pytest.fixture(scope="module", params=CLIPS, ids=lambda path: path.stem)
def clip(request: pytest.FixtureRequest) -> list[np.ndarray]:
    path: Path = request.param
    if not path.is_file():
        pytest.skip(f"no {path}: set SLR_SHARED_DATA to the folder of wlasl20")
    return list(islice(read_frames(path), 20))


@pytest.fixture(scope="module")
def keypoints(estimator: PoseEstimator, clip: list[np.ndarray]) -> np.ndarray:
    return estimator.estimate(pose_clip(clip))


def test_name_and_checksum_of_the_model(estimator: PoseEstimator) -> None:
    digest = {
        "mediapipe-0.10.21-holistic": "d645b7bdbc371e34",
        "mediapipe-1.2.3-tasks": "a977c869910d4d7f",
    }
    assert estimator.weights_sha256.startswith(digest[estimator.name])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (63, 47), (256, 256), (301, 640)])
def test_no_person_is_zero_in_every_frame(
    estimator: PoseEstimator, height: int, width: int
) -> None:
    frames = np.full((5, height, width, 3), 90, np.uint8)
    result = estimator.estimate(pose_clip(frames))
    assert result.shape == (5, 133, 3)
    assert result.dtype == np.float32
    assert not result.any()
    assert estimator.estimate(pose_clip([])).shape == (0, 133, 3)


def test_every_frame_has_a_row_of_finite_values(
    keypoints: np.ndarray, clip: list[np.ndarray]
) -> None:
    assert keypoints.shape == (len(clip), 133, 3)
    assert np.isfinite(keypoints).all()
    score = keypoints[..., 2]
    assert ((score == 0) | ((score >= 1e-3) & (score <= 1))).all()
    assert (keypoints[score == 0] == 0).all()
    missing = [point("left_small_toe"), point("right_small_toe")]
    assert not keypoints[:, missing].any()
    assert (score[:, FACE] > 0).all()


def test_results_do_not_depend_on_earlier_clips(
    settings: KeypointsSettings,
    estimator: PoseEstimator,
    clip: list[np.ndarray],
    keypoints: np.ndarray,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Neither on a whole clip nor on one that breaks; the start prints nothing."""

    def broken() -> object:
        yield from clip[:2]
        raise SlrError("the video breaks")

    estimator.estimate(pose_clip(mirrored(clip[:3])))
    with pytest.raises(SlrError, match="the video breaks"):
        estimator.estimate(pose_clip(broken()))
    assert np.array_equal(estimator.estimate(pose_clip(iter(clip))), keypoints)
    capfd.readouterr()
    fresh = open_estimator(settings, "cpu")
    assert np.array_equal(fresh.estimate(pose_clip(clip)), keypoints)
    assert capfd.readouterr() == ("", "")


def test_left_is_the_signers_left(keypoints: np.ndarray) -> None:
    x = keypoints[..., 0]
    for name in ("eye", "ear", "shoulder", "elbow", "hip"):
        assert (x[:, point(f"left_{name}")] > x[:, point(f"right_{name}")]).all(), name
    wrists = x[:, point("left_wrist")] > x[:, point("right_wrist")]
    assert wrists.mean() > 0.9


@pytest.mark.parametrize(("side", "hand"), [("left", LEFT_HAND), ("right", RIGHT_HAND)])
def test_hands_hang_on_their_wrists(keypoints: np.ndarray, side: str, hand: range) -> None:
    result = keypoints[keypoints[:, hand.start, 2] > 0]
    assert len(result) > 0.25 * len(keypoints)
    shoulders = distance(result, point("left_shoulder"), point("right_shoulder"))
    to_wrist = distance(result, hand.start, point(f"{side}_wrist"))
    assert np.median(to_wrist / shoulders) < 0.2
    for finger in range(5):  # the four points of a finger are close to each other
        chain = [hand.start + 1 + 4 * finger + joint for joint in range(4)]
        bones = [distance(result, a, b) for a, b in pairwise(chain)]
        assert np.median(np.max(bones, axis=0) / shoulders) < 0.25


def distance(keypoints: np.ndarray, a: int, b: int) -> np.ndarray:
    return np.linalg.norm(keypoints[:, a, :2] - keypoints[:, b, :2], axis=1)


def test_the_face_is_in_the_order_of_68_points(keypoints: np.ndarray) -> None:
    face = np.median(keypoints[:, FACE, :2], axis=0)
    x, y = face[:, 0], face[:, 1]
    for run in (range(17), range(17, 22), range(22, 27), range(31, 36), (60, 61, 62, 63, 64)):
        assert (np.diff(x[list(run)]) > -0.5).all(), run  # from the signer's right to the left
    assert np.argmax(y) == 8  # the chin
    assert (np.diff(y[27:31]) > 0).all()  # down the bridge
    for outer, inner in ((36, 39), (45, 42)):  # the nose is beside the inner corners
        assert abs(x[outer] - x[27]) > abs(x[inner] - x[27])
    assert x[36] < x[39] < x[42] < x[45]
    assert max(y[37], y[38]) < min(y[40], y[41])  # upper lids above lower lids
    assert max(y[43], y[44]) < min(y[46], y[47])
    assert (x[48], x[54]) == (x[48:60].min(), x[48:60].max())  # corners of the mouth
    assert y[49:54].max() < y[55:60].min()  # upper lip above lower lip
    brows, eyes, nose, mouth = y[17:27], y[36:48], y[31:36], y[48:68]
    assert brows.mean() < eyes.mean() < nose.mean() < mouth.mean() < y[8]
    inside = face[27:68]
    assert x[0] < inside[:, 0].min() < inside[:, 0].max() < x[16]


def test_a_mirrored_video_gives_the_flipped_keypoints(
    estimator: PoseEstimator, clip: list[np.ndarray], keypoints: np.ndarray
) -> None:
    width = clip[0].shape[1]
    flipped = estimator.estimate(pose_clip(mirrored(clip)))[:, list(FLIP_133)]
    flipped[..., 0] = width - flipped[..., 0]
    both = (keypoints[..., 2] > 0.5) & (flipped[..., 2] > 0.5)
    error = np.linalg.norm(flipped[..., :2] - keypoints[..., :2], axis=-1)
    error[~both] = np.nan
    face = np.nanmedian(error[:, FACE], axis=0)
    assert face.max() < 0.012 * width
    arms = [point(f"{side}_{name}") for side in ("left", "right") for name in ("shoulder", "wrist")]
    assert np.nanmedian(error[:, arms], axis=0).max() < 0.04 * width


def test_pixels_follow_the_size_of_the_picture(
    estimator: PoseEstimator, clip: list[np.ndarray], keypoints: np.ndarray
) -> None:
    wide = [np.pad(frame, ((0, 0), (50, 101), (0, 0)), mode="edge") for frame in clip]
    result = estimator.estimate(pose_clip(wide))
    moved = np.median(result[:, FACE, :2] - keypoints[:, FACE, :2], axis=(0, 1))
    assert np.abs(moved - (50, 0)).max() < 3


@pytest.mark.parametrize("sample", ["signer2_sample3", "signer3_sample4"])
def test_near_the_truth_of_the_demo(estimator: PoseEstimator, sample: str) -> None:
    """Swapped sides or fingers score near 0; a flat hand seen edge-on still scores 0.77."""
    with h5py.File(DEMO / "truth/train.h5") as file:
        truth = file[sample]["keypoints"][:]
    result = estimator.estimate(pose_clip(read_frames(DEMO / f"train/{sample}_color.mp4")))
    neck, hip = (
        truth[:, [point(f"left_{name}"), point(f"right_{name}")], :2].mean(axis=1)
        for name in ("shoulder", "hip")
    )
    torso = np.linalg.norm(neck - hip, axis=1)
    body = keypoint_accuracy(result[:, BODY], truth[:, BODY], torso, threshold=0.1)
    assert (body.recall, body.visible > 100) == (1, True)
    assert body.pck > 0.95
    for part, threshold, least in ((LEFT_HAND, 0.2, 0.7), (RIGHT_HAND, 0.2, 0.7), (FACE, 0.1, 0.8)):
        size = np.ptp(truth[:, part, :2], axis=1).max(axis=1)
        score = keypoint_accuracy(result[:, part], truth[:, part], size, threshold)
        assert score.pck > least, part


def test_a_model_file_that_does_not_fit_is_one_line(tmp_path: Path) -> None:
    settings = tasks_settings()
    data = Path(settings.pose.path).read_bytes()
    for content in (b"", data[: len(data) // 2], Path(settings.hand.path).read_bytes()):
        path = tmp_path / "pose_landmarker_full.task"
        path.write_bytes(content)
        with pytest.raises(ArtifactError) as caught:
            open_estimator(settings.model_copy(update={"pose": WeightsFile(path=str(path))}), "cpu")
        line = str(caught.value)
        assert line.startswith(f"{path}: not a complete model of MediaPipe's PoseLandmarker (")
        assert "get pose_landmarker_full.task from https://" in line
        assert "\n" not in line
    other = WeightsFile(path=settings.hand.path, sha256="0" * 64)
    with pytest.raises(ArtifactError, match=r"SHA-256 is fbc2a30080c3.* expected 000"):
        open_estimator(settings.model_copy(update={"hand": other}), "cpu")
    file = WeightsFile(path=str(tmp_path / "face_landmarker.task"))
    with pytest.raises(DataError, match=r"get face_landmarker\.task from https://"):
        open_estimator(settings.model_copy(update={"face": file}), "cpu")


def test_the_stand_ins_for_plots_are_gone_afterwards(settings: KeypointsSettings) -> None:
    """A fresh process: no plots are imported, and the real ones can be."""
    code = (
        "import sys\n"
        "from slr_pipeline.config.estimators import KeypointsSettings\n"
        "from slr_pipeline.config.flags import parse_setting\n"
        "from slr_pipeline.pose.estimators import open_estimator\n"
        "open_estimator(parse_setting(KeypointsSettings, sys.argv[1], 'settings'), 'cpu')\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from matplotlib import pyplot\n"
        "print(pyplot.Figure.__module__)\n"
    )
    command = [sys.executable, "-c", code, settings.model_dump_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "matplotlib.figure\n"

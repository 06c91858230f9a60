"""`slr export --keypoints`: every format and layout comes back unchanged through the import."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import yaml

from slr_pipeline.cli.main import main
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.foreign.exporting import LAYOUTS_OF
from slr_pipeline.skeleton import KEYPOINTS_133, LAYOUTS
from tests.feature_files import write_feature
from tests.pose.foreign import DEMO, SAMPLE, assert_right_handed, clip_of, truth
from tests.pose.test_imported import opened

QUARANTINED = "signer0_sample9"
OTHER = "signer5_sample1"
ROOT = DEMO.parent

POINTS = truth()
POINTS[2] = 0  # nobody
POINTS[5, 0, :2] = (-3.1415927, 1e-7)  # beyond the border

PATHS = {"pose": "{sample}.pose", "openpose": "{sample}", "mmaction2": "keypoints.pkl"}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A run of two shards with one quarantined sample."""
    folder = tmp_path / "results"
    shards = {
        "train": [NewClip(SAMPLE, POINTS, 512, 512, 25.0), NewClip(QUARANTINED)],
        "val": [NewClip(OTHER, POINTS[:7], 512, 512, 25.0)],
    }
    for split, clips in shards.items():
        path = folder / f"features/keypoints/{split}/0.h5"
        write_feature(path, "keypoints", clips, {"estimator": "x", "weights_sha256": "y"}, {})
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["data"]["root"] = str(DEMO)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def export(results: Path, to: str, out: Path, *more: str) -> None:
    main(["export", "--keypoints", to, "--results", str(results), "--out", str(out), *more])


@pytest.mark.parametrize(
    ("to", "layout"), [(to, layout) for to, layouts in LAYOUTS_OF.items() for layout in layouts]
)
def test_what_is_exported_comes_back(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], to: str, layout: str
) -> None:
    if to == "pose":
        pytest.importorskip("pose_format", reason="the extra `formats` is not installed")
    out = tmp_path / "out"
    export(results, to, out, "--layout", layout)
    capsys.readouterr()
    export(results, to, out, "--layout", layout)  # replaces
    assert capsys.readouterr().out == f"{out}: 2 samples, 1 quarantined samples skipped\n"
    estimator = opened(to, out / PATHS[to])
    expected = POINTS.copy()
    expected[:, [i for i, name in enumerate(KEYPOINTS_133) if name not in LAYOUTS[layout]]] = 0
    imported = estimator.estimate(clip_of(expected))
    assert np.array_equal(imported, expected)
    assert_right_handed(imported[imported[..., 2].any(axis=1)])
    assert np.array_equal(estimator.estimate(clip_of(expected[:7], OTHER)), expected[:7])


def test_some_samples_with_their_labels(results: Path, tmp_path: Path) -> None:
    export(results, "mmaction2", tmp_path / "out", "--samples", SAMPLE)
    content = pickle.loads((tmp_path / "out/keypoints.pkl").read_bytes())
    (one,) = content["annotations"]
    assert content["split"] == {"train": [SAMPLE]}
    assert one["label"] == 1
    export(results, "openpose", tmp_path / "json", "--samples", OTHER)
    assert [path.name for path in (tmp_path / "json").iterdir()] == [OTHER]


@pytest.mark.parametrize(
    ("to", "more", "line"),
    [
        ("openpose", ["--layout", "holistic"], "openpose has body-25, body-135"),
        ("pose", ["--layout", "x"], "--layout x: pose has coco-wholebody-133, body-135"),
        ("pose", ["--samples", "a", SAMPLE], "--samples: not in {results}: 1 ('a'); check"),
        (
            "openpose",
            ["--results", "."],
            "no file features/keypoints/*/*.h5; run `snakemake features`",
        ),
    ],
)
def test_wrong_flags_are_one_line(
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    to: str,
    more: list[str],
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        export(results, to, tmp_path / "out", *more)
    assert line.format(results=results) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

"""`slr predict`: real clips, real MediaPipe, models trained on a few clips."""

import csv
import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.special import softmax

from benchmarks import unknown
from slr_pipeline.cli.main import main
from slr_pipeline.cli.predict import find_files, overlay_files, with_depth
from slr_pipeline.cli.recognition import FEATURE_STEPS, SHARD_SIZE, Video, open_track, recognise
from slr_pipeline.errors import DataError
from slr_pipeline.features.heatmaps import draw_heatmaps
from slr_pipeline.io.documents import read_metrics, read_run_config
from slr_pipeline.io.features import open_features
from slr_pipeline.io.logits import read_logits
from slr_pipeline.io.tables import write_table
from slr_pipeline.io.video import probe, read_frames
from slr_pipeline.io.video_writer import write_video
from slr_pipeline.schema import FEATURES
from slr_pipeline.scoring.ensemble import Calibration, calibrated, fuse, join
from slr_pipeline.steps.predict import load_trained, predict_split
from slr_pipeline.tracks.fusion import read_streams
from tests.cli.conftest import (
    CPU,
    DEMO,
    SIGNS,
    feature_file,
    logits_of,
    one_error,
    weights_of,
)
from tests.videos import write

ROOT = Path(__file__).parents[2]
NEEDED = ("config.yaml", "model.safetensors", "model.json", "metrics.json")
FIRST, SECOND = "signer6_sample2", "signer6_sample3"
"""The samples of test."""
UNKNOWN_SIGNERS = (
    "The accuracy says nothing about new signers: the signers of all samples are unknown."
)


@pytest.fixture(scope="module")
def models(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What docs/how-to/predict.md says is needed, without the rest of the run."""
    folder = tmp_path_factory.mktemp("elsewhere") / "models"
    for name in NEEDED:
        for path in (run_folder / "results").rglob(name):
            target = folder / path.relative_to(run_folder / "results")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty room, a test signer with depth, and a truncated video."""
    folder = tmp_path_factory.mktemp("clips")
    wall = np.full((121, 161, 3), 200, np.uint8)
    write_video(folder / "a.mp4", [wall] * 5, width=161, height=121, fps=30000 / 1001)
    for kind in ("color", "depth"):
        shutil.copy(DEMO / f"test/{SECOND}_{kind}.mp4", folder / f"[b]_{kind}.mp4")
    half = (DEMO / f"test/{FIRST}_color.mp4").read_bytes()[:20000]
    (folder / "c.mp4").write_bytes(half)
    return folder


def slr(*arguments: object) -> None:
    main(["predict", *map(str, arguments), "--device", "cpu"])


def clip(sample: str, kind: str = "color") -> Path:
    return DEMO / f"test/{sample}_{kind}.mp4"


def pipeline_probabilities(run_folder: Path, track: str) -> dict[str, list[float]]:
    """Probabilities of the test samples from the logits and metrics of the pipeline."""
    config = read_run_config(run_folder / "results")
    settings = config.tracks[track]
    phases = [(stream, "finetune") for stream in settings.streams]
    phases += [(stream, "train") for stream in settings.untuned]
    paths = [str(run_folder / logits_of(*phase, "test")) for phase in phases]
    joined = join(read_streams(settings, paths, "challenge"), [FIRST, SECOND])
    metrics = read_metrics(run_folder / f"results/tracks/{track}/metrics.json")
    fitted = Calibration(metrics["temperatures"] or {}, metrics["weights"])
    if settings.fusion == "calibrated":
        joined = calibrated(joined, fitted)
    scores = fuse(joined, fitted.weights, np.full(2, 0.5)).scores
    return dict(zip((FIRST, SECOND), softmax(scores, axis=1).tolist(), strict=True))


def probabilities_of(video: dict[str, Any]) -> list[float]:
    """The probabilities in label order."""
    assert video["status"] == "answered"
    by_label = {answer["label"]: answer["probability"] for answer in video["answers"]}
    return [by_label[label] for label in range(2)]


# --- the same answers ----------------------------------------------------------------------------


def test_exported_models_give_the_same_answers(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for name, flags in {"all": [], "half": ["--half"]}.items():
        out = str(tmp_path / name)
        results = str(run_folder / "results")
        main(["export", "--models", "rgb", "--results", results, "--out", out, *flags])
        capsys.readouterr()
        slr(clip(FIRST), "--models", out, "--json")
        found[name] = probabilities_of(json.loads(capsys.readouterr().out)["videos"][0])
        with pytest.raises(SystemExit):
            main(["export", "--models", "rgb", "--results", results, "--out", out])
        assert "already there; remove it, or name another folder" in one_error(
            capsys.readouterr().err
        )
    assert found["all"] == pipeline_probabilities(run_folder, "rgb")[FIRST]
    assert found["half"] == pytest.approx(found["all"], abs=0.02)
    sizes = [sum(p.stat().st_size for p in (tmp_path / n).rglob("*.safetensors")) for n in found]
    assert sizes[1] < 0.6 * sizes[0]


@pytest.mark.parametrize("stream", ["joint", "sstcn", "rgb", "hands"])
def test_logits_of_a_clip_do_not_depend_on_the_others(
    run_folder: Path, tmp_path: Path, stream: str
) -> None:
    """Equal to the bit alone (the others are quarantined), among the others, and in the run."""
    config = read_run_config(run_folder / "results")
    folder = run_folder / "results/streams" / stream / "train"
    model = load_trained(weights_of(config, stream, "train", str(run_folder / "results")))
    read = config.stream_features(stream)
    logits: dict[str, np.ndarray] = {}
    assert len(model.seeds) == (2 if stream == "rgb" else 1)
    for split in ("val", "test"):
        files = [str(run_folder / feature_file(feature, split)) for feature in read]
        written = read_logits(folder / f"logits/{split}.h5")
        for kept in written.samples:
            others = [
                {"sample": name, "reason": "" if name == kept else "left out"}
                for name in written.samples
            ]
            write_table(tmp_path / "quality.csv", others, ["sample", "reason"])
            out = tmp_path / "logits.h5"
            predict_split(model, CPU, 0, files, str(tmp_path / "quality.csv"), str(out))
            alone = read_logits(out)
            assert alone.answered.tolist() == [name == kept for name in written.samples]
            row = written.samples.index(kept)
            np.testing.assert_array_equal(alone.values[row], written.values[row])
            logits[kept] = written.values[row]
    assert len({row.tobytes() for row in logits.values()}) == len(logits) == 4


@pytest.mark.parametrize("track", ["rgb", "rgbd"])
def test_answers_are_those_of_the_pipeline(
    run_folder: Path,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    track: str,
) -> None:
    """To the bit, from a copy of the needed files, in another order."""
    monkeypatch.chdir(tmp_path)
    expected = pipeline_probabilities(run_folder, track)
    assert expected[FIRST] != expected[SECOND]
    flags = ["--models", models, "--json", "--track", track]
    if track == "rgbd":
        flags += ["--depth", clip(SECOND, "depth"), clip(FIRST, "depth")]
    slr(clip(SECOND), clip(FIRST), *flags)
    out, err = capfd.readouterr()
    assert err == ""  # no progress bar and no log of MediaPipe
    document = json.loads(out)
    assert (document["format"], document["version"]) == ("slr-predictions", 1)
    assert (document["track"], document["protocol"]) == (track, "challenge")
    assert document["warnings"] == [UNKNOWN_SIGNERS]
    assert [probabilities_of(video) for video in document["videos"]] == [
        expected[SECOND],
        expected[FIRST],
    ]
    for video in document["videos"]:
        assert [answer["gloss"] for answer in video["answers"]] == [
            SIGNS[answer["label"]] for answer in video["answers"]
        ]
        shares = [answer["probability"] for answer in video["answers"]]
        assert shares == sorted(shares, reverse=True)
    assert list(tmp_path.iterdir()) == []


def test_a_segment_has_the_answer_of_the_clip(
    run_folder: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (list(read_frames(clip(name))) for name in (FIRST, SECOND))
    path = write(tmp_path / "long.mkv", [*second, *first, *second], codec="ffv1", pixels="bgr0")
    start, end = len(second) / 25, (len(second) + len(first)) / 25
    slr(path, "--models", models, "--json", "--track", "rgb", "--start", start, "--end", end)
    (video,) = json.loads(capsys.readouterr().out)["videos"]
    assert (video["start_s"], video["end_s"], video["frames"]) == (start, end, len(first))
    assert probabilities_of(video) == pipeline_probabilities(run_folder, "rgb")[FIRST]
    with pytest.raises(SystemExit):
        slr(path, "--models", models, "--start", "2", "--end", "1")
    assert "--start 2 --end 1: the segment 2.000 to 1.000 s is empty" in capsys.readouterr().err


def test_a_clip_at_another_rate_has_the_same_answer(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Copies with each frame repeated; the answer lists what differs from the training."""
    pictures = list(read_frames(clip(FIRST)))
    times = {"50": np.arange(len(pictures) * 2) * 2, "100": np.arange(len(pictures) * 4)}
    for name, at in times.items():
        write(tmp_path / f"{name}.mkv", (pictures[t // 4] for t in at), times=at.tolist())
    held = [4 * t + t % 3 * 4 // 3 for t in range(len(pictures))]  # late by up to 2/3 of a frame
    write(tmp_path / "variable.mkv", pictures, times=held)
    far = np.full((1600, 1600, 3), 200, np.uint8)
    far[500:1012, 500:1012] = pictures[0]
    write(tmp_path / "x_far.mkv", [far] * 3)
    slr(clip(FIRST), tmp_path, "--models", models, "--json")
    same, fast, *others, small = json.loads(capsys.readouterr().out)["videos"]
    assert same["outside_training"] == []
    for video in (fast, *others):
        assert probabilities_of(video) == pytest.approx(probabilities_of(same), abs=0.03)
    assert [video["outside_training"] for video in (fast, others[0])] == [
        [f"{rate} frames per second (training: 25)"] for rate in (100, 50)
    ]
    assert small["outside_training"][0] == "pictures of 1600 px (training: 512 px)"
    assert small["outside_training"][1].startswith("shoulders of 1")
    slr(tmp_path / "50.mkv", "--models", models)
    line = f"{tmp_path}/50.mkv: outside the training: 50 frames per second (training: 25)"
    assert line in capsys.readouterr().out.splitlines()


def test_onnx_files_and_the_code_of_their_pages_give_the_same_answer(
    run_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From feature files through three kinds of streams and the fusion of their track.

    Pages leave the views of `test_mirror` and `test_speeds` to their reader.
    """
    results = run_folder / "results"
    streams = ("joint", "sstcn", "rgb")
    main(["export", "--onnx", *streams, "--results", str(results), "--out", str(tmp_path)])
    capsys.readouterr()
    stores = open_features(
        run_folder / feature_file(name, "test") for name in ("keypoints", "frames")
    )
    keypoints = stores["keypoints"].read(FIRST)
    size = {"width": keypoints.width, "height": keypoints.height}
    maps = draw_heatmaps(keypoints.values, **size, sigma=3, fidelity="corrected")
    arrays: dict[str, list[Any]] = {
        "joint": [keypoints.values],
        "sstcn": [maps],
        "rgb": [stores["frames"].read(FIRST).values],
    }
    monkeypatch.chdir(tmp_path)
    logits = {}
    for stream in streams:
        page = Path(f"{stream}.md").read_text()
        code: dict[str, Any] = {}
        exec("".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), code)
        logits[stream] = code["video_logits"](*arrays[stream])
    plain = shutil.copytree(results, tmp_path / "plain")
    values = yaml.safe_load((plain / "config.yaml").read_text())
    for stream in values["streams"].values():
        stream |= {"test_mirror": False, "test_speeds": [1.0]}
    (plain / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    slr(clip(FIRST), "--models", plain, "--json")
    (video,) = json.loads(capsys.readouterr().out)["videos"]
    np.testing.assert_allclose(code["fuse"]("rgb", logits), probabilities_of(video), atol=1e-5)


def test_every_feature_has_a_step() -> None:
    assert {"keypoints", *FEATURE_STEPS} == FEATURES.keys()


def test_many_videos_are_processed_in_shards(
    models: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    track = open_track(models, read_run_config(models), "rgb", "cpu")
    names = [f"{clips}/{'c' if number % 3 else 'a'}.mp4" for number in range(SHARD_SIZE + 2)]
    steps: list[int] = []
    folders = []
    recognised = []
    for one in recognise(track, [Video(name) for name in names], steps.append):
        recognised.append(one.video.color)
        folders.append([path.name for path in tmp_path.iterdir()])
    assert recognised == names
    assert sum(steps) == track.stages * len(names)
    assert [len(there) for there in folders] == [1] * len(names)
    assert len({there[0] for there in folders}) == 2
    assert list(tmp_path.iterdir()) == []


# --- output --------------------------------------------------------------------------------


def test_videos_without_an_answer_have_a_reason(
    models: Path, clips: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        slr(clips, "--models", models, "--json", "--top", "1", "--overlay", tmp_path / "drawn")
    assert ended.value.code == 1
    out, err = capfd.readouterr()
    assert one_error(err).startswith(f"{clips}/c.mp4: cannot be opened as a video")
    signer, nobody, broken = json.loads(out)["videos"]
    assert [Path(v["video"]).name for v in (signer, nobody, broken)] == [
        *("[b]_color.mp4", "a.mp4", "c.mp4")
    ]
    assert (signer["status"], signer["reason"], len(signer["answers"])) == ("answered", None, 1)
    assert (nobody["status"], nobody["answers"]) == ("unanswered", [])
    assert nobody["reason"] == "no person was found"
    assert (nobody["frames"], nobody["width"], nobody["height"]) == (5, 162, 122)
    assert (broken["status"], broken["frames"]) == ("unreadable", 0)
    assert broken["reason"] == one_error(err)
    drawn = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert drawn == ["[b]_color.mp4", "a.mp4"]
    for name in drawn:
        assert probe(tmp_path / "drawn" / name) == probe(clips / name)
    before, after = (
        np.stack(list(read_frames(folder / "[b]_color.mp4"))).astype(int)
        for folder in (clips, tmp_path / "drawn")
    )
    changed = np.abs(after - before).max(axis=-1) > 40
    foot = changed[:, -int(0.09 * 512) :].mean()
    assert foot > 0.5  # the band with the answer
    assert 0.01 < changed[:, :460].mean() < 0.2  # lines and dots


def test_the_table_and_the_bar(models: Path, clips: Path) -> None:
    """On a terminal; names and glosses look like markup."""
    terminal, child_end = pty.openpty()
    command = [sys.executable, "-m", "slr_pipeline.cli.main", "predict", "--device", "cpu"]
    process = subprocess.Popen(
        [*command, "[b]_color.mp4", "a.mp4", "c.mp4", "--models", str(models)],
        cwd=clips,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=child_end,
        text=True,
    )
    os.close(child_end)
    shown = "".join(iter(lambda: read_terminal(terminal), ""))
    os.close(terminal)
    table, _ = process.communicate()
    assert process.returncode == 1
    cells = [
        tuple(cell.strip() for cell in line.split("│")[1:-1])
        for line in table.splitlines()
        if "│" in line
    ]
    assert [cell[0] for cell in cells] == ["[b]_color.mp4", "", "a.mp4", "c.mp4"]
    assert {cell[1] for cell in cells[:2]} == set(SIGNS)
    shares = [float(cell[2].rstrip("%")) for cell in cells[:2]]
    assert shares[0] >= shares[1]
    assert sum(shares) == pytest.approx(100, abs=0.11)
    assert [cell[1:] for cell in cells[2:]] == [
        ("no answer: no person was found", ""),
        ("cannot be read", ""),
    ]
    assert "track rgb of protocol challenge" in table
    assert f"warning: {UNKNOWN_SIGNERS}" in " ".join(table.split())
    assert "recognising" in shown
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).replace("\r", "\n").strip().splitlines()
    assert last[-1].startswith("error: c.mp4: cannot be opened as a video")


def read_terminal(terminal: int) -> str:
    """Read the next output; empty after the child exits."""
    try:
        return os.read(terminal, 1 << 16).decode(errors="replace")
    except OSError:
        return ""


def test_an_answer_of_low_probability_is_unsure(
    models: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two clips of val are too few for a threshold; with one, the candidates stay."""
    video = clips / "[b]_color.mp4"
    slr(video, "--models", models, "--json")
    usual = json.loads(capsys.readouterr().out)
    assert usual["rejection"]["threshold"] is None
    assert usual["rejection"]["reason"].endswith("and there are 2")
    highest = max(probabilities_of(usual["videos"][0]))
    metrics = models / "tracks/rgb/metrics.json"
    for threshold, status in ((highest, "answered"), (np.nextafter(highest, 1), "unsure")):
        stricter = tmp_path / status
        shutil.copytree(models, stricter)
        chosen = {"accept_error": 0.05, "threshold": float(threshold), "reason": None}
        content = {**read_metrics(metrics), "rejection": chosen}
        (stricter / "tracks/rgb/metrics.json").write_text(json.dumps(content))
        slr(video, "--models", stricter, "--json")
        document = json.loads(capsys.readouterr().out)
        assert document["rejection"] == chosen
        (found,) = document["videos"]
        assert found["status"] == status
        assert found["answers"] == usual["videos"][0]["answers"]
    assert found["reason"] == f"its probability is below {threshold:.1%}"
    slr(video, "--models", stricter, "--overlay", tmp_path / "drawn.mp4")
    out = capsys.readouterr().out
    assert "unsure; " in out
    assert f"unsure: below {threshold:.1%}; of the other answers at most 5% are expected" in out
    earlier = read_metrics(metrics)
    del earlier["rejection"]
    (stricter / "tracks/rgb/metrics.json").write_text(json.dumps(earlier))
    slr(video, "--models", stricter)
    out = capsys.readouterr().out
    assert "no answer is unsure: metrics.json is of an earlier version" in " ".join(out.split())


def test_clips_of_other_signs_are_declined(
    run_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Another run with the same clips, in which one sign has another gloss."""
    monkeypatch.chdir(run_folder)
    models, other = tmp_path / "models", tmp_path / "other"
    for folder in (models, other):
        shutil.copytree("results", folder)
    (tmp_path / "signs.txt").write_text(f"{SIGNS[0]}\nanother\n")
    table = Path("samples.csv").read_text().replace(SIGNS[1], "another")
    (tmp_path / "samples.csv").write_text(table)
    values = yaml.safe_load((other / "config.yaml").read_text())
    values["data"] |= {"table": f"{tmp_path}/samples.csv", "classes": f"{tmp_path}/signs.txt"}
    (other / "config.yaml").write_text(yaml.safe_dump(values))
    track = open_track(models, read_run_config(models), "rgb", "cpu")
    found = unknown.answers_to_unknown(track, read_run_config(other))
    assert len(found) == 4  # two of train, one of val and of test
    assert set(found["gloss"]) == {"another"}
    assert found["accepted"].all()  # there is no threshold
    expected = pipeline_probabilities(run_folder, "rgb")
    labels = {name: int(text) for name, text in csv.reader((DEMO / "test_labels.csv").open())}
    (of_test,) = (name for name in (FIRST, SECOND) if labels[name] == 1)
    assert found["probability"].iloc[-1] == pytest.approx(max(expected[of_test]), abs=1e-5)
    path = models / "tracks/rgb/metrics.json"
    threshold = np.mean(sorted(found["probability"])[:2])  # one of the four is below it
    chosen = {"accept_error": 0.05, "threshold": threshold, "reason": None}
    path.write_text(json.dumps({**read_metrics(path), "rejection": chosen}))
    monkeypatch.setattr(sys, "argv", ["unknown", "--models", str(models), "--clips", str(other)])
    unknown.main()
    out = capsys.readouterr().out
    assert "| other signs | 4 | 25.0% (4.6% to 69.9%) |" in out
    assert "area under the ROC curve: " in out
    assert f"accepted most often: another as {SIGNS[0]}" in out or f"another as {SIGNS[1]}" in out


@pytest.mark.parametrize("line", range(3))
def test_the_commands_of_the_page(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: int
) -> None:
    text = (ROOT / "docs/how-to/predict.md").read_text()
    commands = text.split("```\n")[1].splitlines()
    assert [command.split()[:2] for command in commands] == [
        *[["slr", "predict"]] * 3,
        ["slr", "overlay"],
    ]
    (tmp_path / "results").symlink_to(run_folder / "results")
    (tmp_path / "clips").mkdir()
    for kind in ("color", "depth"):
        shutil.copy(clip(FIRST, kind), tmp_path / f"clips/x_{kind}.mp4")
    shutil.copy(clip(FIRST), tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    main(shlex.split(commands[line])[1:])
    if "--overlay" in commands[line]:
        assert [path.name for path in Path("drawn").iterdir()] == ["x_color.mp4"]


# --- errors -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--models", "."], "config.yaml: no such file; name the results folder of a run"),
        (["--track", "all"], "--track all: no such track; choose from rgb, rgbd"),
        (
            ["--track", "rgbd"],
            "track rgbd: its streams need depth videos for depth_hand_crops; give --depth, ",
        ),
        (
            ["--depth", "a.mp4"],
            "--depth: track rgb uses no depth; remove --depth, or use --track rgbd",
        ),
        (["--depth", "a.mp4", "c.mp4", "--track", "rgbd"], "--depth: 2 depth videos for 1 videos"),
        (["--depth", ".", "--track", "rgbd"], ".: no depth video of a.mp4; name it a_depth.mp4"),
        (["--top", "0"], "--top 0: expected 1 or more"),
        (["--overlay", "out.avi"], "--overlay out.avi: expected a name that ends in .mp4"),
        (["--overlay", "a.mp4"], "--overlay: a.mp4 is an input video; choose another path"),
        (["c.mp4", "--overlay", "c.mp4"], "--overlay c.mp4: is a file; name a folder for several"),
        (["./a.mp4", "--overlay", "out"], "--overlay: a.mp4 and a.mp4 would both write out/a.mp4"),
        (["empty"], "empty: no video in it or in its sub-folders"),
    ],
)
def test_wrong_arguments_give_one_line(
    models: Path,
    clips: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    line: str,
) -> None:
    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    (tmp_path / "results").symlink_to(models)
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        slr("a.mp4", *flags)
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (1, "")
    assert one_error(err).startswith(line)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"tracks": {"b": {"streams": {"rgb": None}}}}, "--track: missing; choose from a, b"),
        (
            {"streams": {"imported": {"model": "imported", "reads": ["flow"], "test": "x.h5"}}},
            "track a: stream imported has imported logits and no model for new videos; the run has "
            "no other track that fits",
        ),
        (
            {
                "features": {
                    "keypoints": {"estimator": "imported", "format": "hdf5", "path": "poses.h5"}
                }
            },
            "features.keypoints: the run imports keypoints from models/poses.h5, which has none",
        ),
        ({"protocol": "strict"}, "models/streams/rgb/train/model.json: no such file, but track a"),
    ],
)
def test_a_run_that_cannot_process_new_videos_gives_one_line(
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, dict[str, Any]],
    line: str,
) -> None:
    values = yaml.safe_load((models / "config.yaml").read_text())
    values["tracks"] = {"a": {"fusion": "published", "streams": {"rgb": 1.0}}}
    for key, change in changes.items():
        values[key] = {**values[key], **change} if isinstance(change, dict) else change
    if "imported" in values["streams"]:
        values["tracks"]["a"]["streams"]["imported"] = 1.0
    shutil.copytree(models, tmp_path / "models")
    (tmp_path / "models/config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    (tmp_path / "models/tracks/rgb").rename(tmp_path / "models/tracks/a")
    (tmp_path / "models/streams/rgb/train/model.json").unlink()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        slr(clip(FIRST), "--models", "models")
    assert one_error(capsys.readouterr().err).startswith(line)


def test_metrics_of_another_configuration_give_one_line(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(models, tmp_path / "models")
    metrics = tmp_path / "models/tracks"
    shutil.copy(metrics / "rgbd/metrics.json", metrics / "rgb/metrics.json")
    with pytest.raises(SystemExit):
        slr(clip(FIRST), "--models", tmp_path / "models")
    assert "fusion published of hands, hands/train, rgb, but config.yaml has calibrated of " in (
        one_error(capsys.readouterr().err)
    )


# --- videos and their depth ----------------------------------------------------------------------


def videos_of(given: list[str], depth: list[str] | None = None) -> list[Video]:
    return with_depth(find_files(given), depth)


def touched(folder: Path, *names: str) -> str:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return str(folder)


def test_depth_videos_of_a_folder(tmp_path: Path) -> None:
    one = touched(
        tmp_path / "one", "x/a_color.mp4", "x/a_depth.mp4", "b.MKV", "b_depth.mp4", "c.txt"
    )
    colors = [f"{one}/b.MKV", f"{one}/x/a_color.mp4"]
    assert videos_of([one]) == [Video(color) for color in colors]
    in_place = [f"{one}/b_depth.mp4", f"{one}/x/a_depth.mp4"]
    assert videos_of([one], [one]) == list(map(Video, colors, in_place))
    deep = touched(tmp_path / "deep", "x/a_color.mp4", "b.avi")
    apart = [f"{deep}/b.avi", f"{deep}/x/a_color.mp4"]
    assert videos_of([one], [deep]) == list(map(Video, colors, apart))
    assert videos_of([colors[1], colors[0]], apart) == list(map(Video, reversed(colors), apart))
    assert videos_of(in_place) == list(map(Video, in_place))  # a named file counts as colour
    Path(in_place[0]).unlink()
    with pytest.raises(DataError, match=r"no depth video of .*b\.MKV; name it b_depth\.MKV"):
        videos_of([one], [one])
    for color in colors:
        Path(color).unlink()
    with pytest.raises(DataError, match="only depth videos"):
        videos_of([one])
    for bad in ("a\x1b.mp4", "a\u2028.mp4", "a\u202egpj.mp4"):
        with pytest.raises(DataError, match=r"'a\\.*: the name has a control character"):
            videos_of([bad])
        with pytest.raises(DataError, match=r"'a\\.*: the name has a control character"):
            videos_of(["b.mp4"], [bad])


def test_overlays_of_a_folder_keep_its_sub_folders(tmp_path: Path) -> None:
    signs = touched(tmp_path, "yes/1.mov", "no/1.mp4")
    files = find_files([signs])
    drawn = overlay_files(Path("drawn"), files, with_depth(files, None), single=False)
    assert drawn == [Path("drawn/no/1.mp4"), Path("drawn/yes/1.mp4")]

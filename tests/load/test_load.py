"""Two thousand clips end to end on two cores, with memory, open files and processes monitored."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import av
import cv2
import psutil
import pytest
import yaml

from slr_pipeline.io.video import read_frames
from tests.workflow.conftest import DEMO, ROOT

pytestmark = pytest.mark.load

CLIPS, FRAMES, SIZE = 2000, 6, 192
SHARD = 250


def write_clips(folder: Path) -> None:
    """Short, small parts of the demo's clips, 2,000 by 8 signers, and their table."""
    (folder / "clips").mkdir(parents=True)
    rows = []
    for split in ("train", "val", "test"):
        with (DEMO / f"{split}_labels.csv").open(newline="") as file:
            labels = list(csv.reader(file))
        each = CLIPS // 128 + 1
        for sample, label in labels:
            frames = list(read_frames(DEMO / split / f"{sample}_color.mp4"))
            small = [cv2.resize(f, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for f in frames]
            for take in range(each):
                name = f"{sample}_take{take}"
                write_clip(folder / "clips" / f"{name}.mp4", small[take : take + FRAMES])
                signer = sample.partition("_")[0]
                rows.append([name, split, label, signer, f"clips/{name}.mp4"])
    with (folder / "samples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", "split", "label", "signer", "color"])
        writer.writerows(rows)
    assert len(rows) >= CLIPS


def write_clip(path: Path, frames: list[Any]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = SIZE
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


class Watch:
    """Memory and open files of the processes of a run, sampled twice a second."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self.most_bytes = 0
        self.files: dict[int, list[int]] = defaultdict(list)
        self.bytes: dict[int, list[int]] = defaultdict(list)
        self.steps: dict[int, str] = {}

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.cwd() == self._folder:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def look(self) -> None:
        total = 0
        for process in self.processes():
            try:
                held = process.memory_full_info().pss
                total += held
                words = " ".join(process.cmdline())
                step = words.partition("-m slr_pipeline.steps ")[2].partition(" ")[0]
                if words.startswith("python") or "snakemake" in words:
                    self.steps[process.pid] = step or "snakemake"
                    self.files[process.pid].append(process.num_fds())
                    self.bytes[process.pid].append(held)
            except psutil.Error:
                continue
        self.most_bytes = max(self.most_bytes, total)

    def until_end(self, running: "subprocess.Popen[bytes]", limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while running.poll() is None:
            assert time.monotonic() < deadline
            self.look()
            time.sleep(0.5)


def start(folder: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "snakemake", "submission", "--cores", "2"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "config.yaml")]
    with (folder / "snakemake.log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
            stdout=log,
            stderr=log,
        )


def write_config(folder: Path) -> None:
    training = {"epochs": 3, "batch_size": 32, "warmup_epochs": 1, "overfit_steps": 0}
    config = {
        "name": "load",
        "device": "cpu",
        "shard_size": SHARD,
        "data": {"layout": "table", "table": "samples.csv"},
        "quality": {"max_quarantined": 0.2},
        "streams": {"joint": {"model": "slgcn", "width": 16, "training": training}},
        "tracks": {"rgb": {"streams": {"joint": 1.0}}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def test_two_thousand_clips(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write_clips(folder)
    write_config(folder)
    watch = Watch(folder)

    running = start(folder)
    deadline = time.monotonic() + 300
    while not list(folder.rglob("results/features/keypoints/*/*.partial")):
        assert running.poll() is None, (folder / "snakemake.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.5)
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(120) != 0
    assert watch.processes() == []

    running = start(folder)
    watch.until_end(running, 3600)
    assert running.returncode == 0, (folder / "snakemake.log").read_text()[-3000:]
    assert watch.processes() == []
    rows = (folder / "results/tracks/rgb/submission.csv").read_text().splitlines()
    assert len(rows) == sum(",test," in line for line in (folder / "samples.csv").open())

    estimating = [pid for pid, step in watch.steps.items() if step == "keypoints"]
    assert len(estimating) >= 8
    files = dict.fromkeys(watch.steps.values(), 0)
    for pid, step in watch.steps.items():
        files[step] = max(files[step], *watch.files[pid])
    print(f"most memory of all processes: {watch.most_bytes / 1e6:.0f} MB; open files: {files}")
    assert watch.most_bytes < 3e9
    assert max(files.values()) < 100
    for pid in [pid for pid in estimating if len(watch.files[pid]) >= 16]:
        # The second quarter is after the start; nothing may grow until the last quarter.
        quarter = len(watch.files[pid]) // 4
        for held, room in ((watch.files[pid], 1.0), (watch.bytes[pid], 1.15)):
            assert median(held[-quarter:]) <= room * median(held[quarter : 2 * quarter])
    by_shard = [median(watch.bytes[pid]) for pid in sorted(estimating)]
    assert by_shard[-1] < 1.15 * by_shard[0]

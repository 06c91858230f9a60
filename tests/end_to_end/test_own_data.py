"""The commands of docs/tutorial/own-data.md: from twenty clips and a CSV to an ensemble."""

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "demo"
ACTIVATE = ". .venv/bin/activate"
SIGNS = ("4", "5", "6", "7")  # rainbow, wash, open, lamp
SIGNERS = ("signer0", "signer1", "signer3", "signer4", "signer6")
STRANGER = "signer7"
UNFRIENDLY = ("çekim {} #{}.mp4", "sub folder/-take {}.{}.m4v", "b/{}/CLIP {}.MP4", "{} & '{}'.mp4")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path(sys.prefix, "bin/activate").is_file(), reason="the page activates a venv"
    ),
]


def blocks(title: str) -> list[str]:
    """The fenced blocks of a section of the page."""
    page = (ROOT / "docs/tutorial/own-data.md").read_text()
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```(?:python)?\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


def demo_clips() -> dict[tuple[str, str], Path]:
    """A colour video of each sign by each signer."""
    clips: dict[tuple[str, str], Path] = {}
    for split in ("train", "val", "test"):
        with (DEMO / f"{split}_labels.csv").open(newline="") as file:
            for sample, label in csv.reader(file):
                video = DEMO / split / f"{sample}_color.mp4"
                clips.setdefault((label, sample.partition("_")[0]), video)
    return clips


def make_clips(folder: Path, shown: list[dict[str, str]]) -> list[dict[str, str]]:
    """Twenty clips and the rows of their CSV: first the rows of the page, then similar ones."""
    labels = [row["label"] for row in shown]
    signers = [*(row["signer"] for row in shown), "Emre"]
    assert len(set(labels)) == len(SIGNS)
    assert len(set(signers)) == len(SIGNERS)
    clips, rows = demo_clips(), []
    listed = {(row["label"], row["signer"]): row["video"] for row in shown}
    for label, sign in zip(labels, SIGNS, strict=True):
        for signer, person in zip(signers, SIGNERS, strict=True):
            number = len(rows)
            other = UNFRIENDLY[number % len(UNFRIENDLY)].format(label, number)
            video = listed.get((label, signer), other)
            path = folder / video
            if not path.suffix:  # Windows hides it, so tables lack it
                path = path.with_suffix(".mp4")
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(clips[sign, person], path)
            rows.append({"video": video, "label": label, "signer": signer})
    assert len(rows) == 20
    return sorted(rows, key=lambda row: row not in shown)


def project(folder: Path) -> Path:
    """The files of a clone that a run needs, with the environment of this Python."""
    folder.mkdir()
    shutil.copy(ROOT / "Snakefile", folder)
    for name in ("profiles", "slr_pipeline", "workflow"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def terminal(folder: Path, command: str) -> str:
    """Output of a command of the page with the environment activated."""
    done = subprocess.run(
        ["bash", "-euc", f"{ACTIVATE}\n{command}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_page_word_for_word(tmp_path: Path) -> None:
    table, commands, ask = blocks("A folder of clips and a CSV")
    folder = project(tmp_path / "a clone")
    shown = list(csv.DictReader(table.splitlines()))
    rows = make_clips(folder / "mysigns", shown)
    with (folder / "mysigns/labels.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(shown[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    first, *typed = commands.splitlines()
    assert first == ACTIVATE
    output = {command.partition(" mysigns")[0]: terminal(folder, command) for command in typed}

    assert "20 clips of 4 signs" in output["slr init"]
    assert "warning" not in output["slr init"]  # the splits share no signer
    assert "mysigns: 20 samples, 4 classes" in output["slr check"]
    assert "duration with " in output["slr plan"]
    results = folder / "mysigns/results"
    submission = (results / "tracks/rgb/submission.csv").read_text().splitlines()
    assert len(submission) == 4
    metrics = json.loads((results / "tracks/rgb/metrics.json").read_text())
    assert set(metrics["weights"]) == {"joint", "bone", "rgb"}
    assert metrics["test"]["samples"] == 4
    assert metrics["test"]["top1"] >= 0.75  # chance: 0.25
    for stream in metrics["weights"]:
        with (results / f"streams/{stream}/train/history.csv").open() as file:
            history = list(csv.DictReader(file))
        assert max(float(row["train_accuracy"]) for row in history) >= 0.75, stream
    page = (results / "report/index.html").read_text()
    assert "merhaba" in page

    again = terminal(folder, typed[-1])
    assert "Nothing to be done" in again

    shutil.copy(demo_clips()[SIGNS[0], STRANGER], folder / "a new clip.mp4")
    (command,) = ask.splitlines()
    (answer,) = (line for line in terminal(folder, command).splitlines() if "clip.mp4" in line)
    assert any(f" {row['label']} " in answer for row in rows), answer
    (program,) = blocks("Read the answers")
    (accuracy,) = terminal(folder, f"python -c {shlex.quote(program)}").split()
    assert float(accuracy) == metrics["test"]["top1"]
    clips_are_added(folder)
    the_folder_moves(folder)


def clips_are_added(folder: Path) -> None:
    """The section that adds clips; one is of a known signer, one of a new signer."""
    table, commands = blocks("Add clips")
    rows = list(csv.DictReader(table.splitlines()))
    clips = demo_clips()
    for row, signer in zip(rows, (SIGNERS[0], STRANGER), strict=True):
        shutil.copy(clips[SIGNS[0], signer], folder / "mysigns" / row["video"])
    with (folder / "mysigns/labels.csv").open("a", encoding="utf-8", newline="") as file:
        csv.DictWriter(file, list(rows[0]), delimiter=";").writerows(rows)
    config = folder / "mysigns/config.yaml"
    config.write_text(re.sub(r"epochs: \d+", "epochs: 2", config.read_text()))  # for a short test
    samples = (folder / "mysigns/samples.csv").read_text()
    add, run = commands.splitlines()
    assert "added to mysigns/samples.csv: 2 clips" in terminal(folder, add)
    after = (folder / "mysigns/samples.csv").read_text()
    assert after.startswith(samples)
    terminal(folder, run)
    with (folder / "mysigns/results/classes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row[split]) for row in rows for split in ("train", "val", "test")) == 22


def the_folder_moves(folder: Path) -> None:
    """The section that moves the folder: nothing runs again, and a changed setting still does."""
    *commands, run = blocks("Move the folder")[0].splitlines()
    for command in commands:
        terminal(folder, command)
    assert (folder / "check.mp4").stat().st_size > 0
    assert "Nothing to be done" in terminal(folder, run)
    config = folder / "signs2024/config.yaml"
    config.write_text(config.read_text().replace("learning_rate: 0.002", "learning_rate: 0.003"))
    assert re.search(r"^train +3$", terminal(folder, f"{run} --dry-run"), re.MULTILINE)

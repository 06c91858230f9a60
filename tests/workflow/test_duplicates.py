"""A copy of a training clip in test: a run stops, or trains without it and scores without it."""

import json
import shutil

from slr_pipeline.io.duplicates import read_duplicates
from slr_pipeline.io.video import read_frames
from tests.videos import write
from tests.workflow.conftest import WorkflowRun


def test_a_run_stops_at_copies_or_trains_without_them(copied_run: WorkflowRun) -> None:
    """One encoded anew, one with equal bytes."""
    run, rows = copied_run, copied_run.rows()
    encoded, equal = [row for row in rows if row["split"] == "train"][:2]
    for name, source in (("encoded", encoded), ("equal", equal)):
        videos = {video: f"my videos/{name}_{video}.mp4" for video in ("color", "depth")}
        for video, path in videos.items():
            shutil.copy(run.folder / source[video], run.folder / path)
        rows.append({**source, "sample": name, "split": "test", **videos})
    pictures = read_frames(run.folder / encoded["color"])
    write(run.folder / rows[-2]["color"], pictures, options={"crf": "30"})
    with (run.folder / rows[-2]["depth"]).open("ab") as depth:
        depth.write(b"\0\0\0\x08free")  # an empty box: other bytes, the same video
    run.write_rows(rows)

    data = run.config["data"]
    stopped = run.snakemake("submission", data={**data, "duplicates": "error"})
    assert stopped.returncode == 1
    assert "2 videos are several samples, in several splits or with several labels" in (
        stopped.stdout + stopped.stderr
    )
    results = run.folder / "results"
    assert not (results / "duplicates.csv").exists()

    done = run.snakemake("results/tracks/rgb/metrics.json", data={**data, "duplicates": "exclude"})
    assert done.returncode == 0, done.stdout + done.stderr
    found = {
        row.sample: (row.twin, row.kind) for row in read_duplicates(results / "duplicates.csv")
    }
    assert found["encoded"] == (encoded["sample"], "near")
    assert found["equal"] == (equal["sample"], "equal")
    log = (results / "logs/train/joint/train.log").read_text()
    assert "2 samples are left out: they are copies of samples that are predicted" in log
    scored = json.loads((results / "tracks/rgb/metrics.json").read_text())["test_without_twins"]
    labelled = sum(row["split"] == "test" for row in rows)
    assert (scored["twins"], scored["samples"]) == (2, labelled - 2)

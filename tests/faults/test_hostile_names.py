"""Names and texts in tables and configs that a shell, Snakemake or YAML could interpret."""

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from slr_pipeline.config.experiment import TableData, check_config, read_config
from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.io.logits import write_logits
from slr_pipeline.io.verified import read_verified
from slr_pipeline.samples.table import SAMPLE_NAME, load_samples
from slr_pipeline.scoring.logits import Logits
from slr_pipeline.steps.verify import verify
from tests.workflow.conftest import DEMO, WorkflowRun

CLIPS = (
    ("train", "signer0_sample1", "0"),
    ("train", "signer1_sample2", "1"),
    ("val", "signer4_sample1", "0"),
    ("test", "signer6_sample1", "1"),
)


# --- a whole run under such names -----------------------------------------------------------------

TRAP = "'\"; touch canary; $(touch canary) `touch canary` & ü*?[a]"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> WorkflowRun:
    """Clips, table, results and scratch whose names would run `touch` in a shell."""
    folder = tmp_path_factory.mktemp("trap") / f"run {TRAP}".replace("/", "")
    clips = folder / f"clips {TRAP}"
    clips.mkdir(parents=True)
    (folder / f"scratch {TRAP}").mkdir()
    rows = []
    for split, sample, label in CLIPS:
        video = f"{sample} {TRAP}.mp4"
        shutil.copy(next((DEMO / split).glob("*_color.mp4")), clips / video)
        rows.append([sample, split, label, f"{clips.name}/{video}"])
    with (folder / f"table {TRAP}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["sample", "split", "label", "color"], *rows])
    return WorkflowRun(
        folder,
        {
            "name": "tiny",
            "device": "cpu",
            "results": f"results {TRAP}",
            "scratch": str(folder / f"scratch {TRAP}"),
            "data": {"layout": "table", "table": f"table {TRAP}.csv"},
            "streams": {"joint": {"model": "slgcn", "training": {"batch_size": 2}}},
            "tracks": {"rgb": {"streams": {"joint": 1.0}}},
        },
    )


def test_it_works_and_nothing_is_run_or_written_elsewhere(run: WorkflowRun) -> None:
    home = run.folder.parent
    before = {path for path in home.rglob("*") if ".snakemake" not in path.parts}
    results = run.folder / run.config["results"]
    done = run.snakemake(
        f"{results.name}/config.yaml", f"{results.name}/features/keypoints/train/all.h5"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (results / "features/keypoints/train/all.h5").is_file()
    assert yaml.safe_load((results / "config.yaml").read_text())["results"] == results.name
    assert "signer0_sample1" in (results / "verify/train/all.csv").read_text()
    created = {
        path
        for path in home.rglob("*")
        if path not in before
        and results not in (path, *path.parents)
        and not {".snakemake", ".cache", ".config"} & set(path.parts)  # fonts, in HOME
    }
    assert created == {run.folder / "config.yaml"}
    assert not list(home.rglob("canary"))


def test_every_command_of_a_run_quotes_them(run: WorkflowRun) -> None:
    """All rules, in a dry run: each name is one word of the shell."""
    (run.folder / f"weights {TRAP}").write_text("")
    for name in ("template", "baseline"):
        (run.folder / f"{name} {TRAP}").write_text("signer6_sample1,1\n")
    for name, sample in (("val", "signer4_sample1"), ("test", "signer6_sample1")):
        logits = Logits(
            (sample,), np.ones((1, 2), np.float32), np.ones(1, bool), ("0", "1"), "strict"
        )
        write_logits(run.folder / f"{name} {TRAP}", logits, {})
    stream = dict(run.config["streams"]["joint"], init={"path": f"weights {TRAP}"})
    logits = {split: f"{split} {TRAP}" for split in ("val", "test")}
    imported = {"model": "imported", "reads": ["keypoints"], **logits}
    track = {"streams": {"joint": 1.0, "other": 1.0}}
    track |= {name: f"{name} {TRAP}" for name in ("template", "baseline")}
    done = run.snakemake(
        *("--dry-run", "--forceall", "--printshellcmds", "all", "features"),
        streams={"joint": stream, "other": imported},
        tracks={"rgb": track},
    )
    assert done.returncode == 0, done.stderr
    commands = re.findall(r"^Shell command: (python -P -m .*)", done.stdout, re.MULTILINE)
    rules = {shlex.split(command)[4] for command in commands}
    assert rules >= {"config", "verify", "quarantine", "quality", "keypoints", "frames", "flow"}
    assert rules >= {"train", "predict", "evaluate", "ensemble", "report", "hand_crops"}
    for command in commands:
        words = shlex.split(command)
        assert "touch" not in words, command
        trapped = [word for word in words if "touch" in word]
        assert all(TRAP in word or TRAP.replace('"', '\\"') in word for word in trapped), command


@pytest.mark.parametrize(
    ("imported", "data"),
    [
        ({"format": "pose", "path": "poses/{sample}.pose"}, {}),
        ({"format": "openpose", "path": "{split}/{{x}}/{sample}", "tool": "<t> {0}"}, {}),
        (
            {"format": "samslr", "path": "<npy>/{sample}.npy"},
            {"root": "{x}/<results>", "classes": "{0}.txt"},
        ),
    ],
)
def test_braces_in_any_setting_reach_every_step(
    tmp_path: Path,
    imported: dict[str, str],
    data: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`{sample}` is no wildcard of Snakemake, and `<x>` no pathvar."""
    table = tmp_path / "{table}.csv"
    rows = [[sample, split, label, f"{sample}.mp4"] for split, sample, label in CLIPS]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["sample", "split", "label", "color"], *rows])
    (tmp_path / "{0}.txt").write_text("0\n1\n")
    run = WorkflowRun(
        tmp_path,
        config(
            data={"layout": "table", "table": table.name, **data},
            features={"keypoints": {"estimator": "imported", **imported}},
            scratch="/tmp/{x}<y>",
        ),
    )
    dry = run.snakemake("--dry-run", "--printshellcmds", "all", "submission", "report", "features")
    assert dry.returncode == 0, dry.stdout + dry.stderr
    done = run.snakemake("results/config.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    checked = check_config(run.config)
    monkeypatch.chdir(tmp_path)
    assert read_config("results/config.yaml") == checked
    found = [
        json.loads(word)
        for line in re.findall(r"^Shell command: (python -P -m .*)", dry.stdout, re.MULTILINE)
        for word in shlex.split(line)
        if word.startswith("{")
    ]
    keypoints = checked.features.keypoints.model_dump(mode="json")
    assert found.count(keypoints) == 3  # train, val and test
    # `verify` of three splits, quarantine, train, evaluate, ensemble and overview.
    assert found.count(checked.data.model_dump(mode="json")) == 8


# --- what is refused ------------------------------------------------------------------------------

SAMPLES = ["../../x", "a/b", "-rf", "$(touch x)", "`touch x`", "a;b", "a b", "a'b", 'a"b', "ağ"]
SAMPLES += ["", ".", "..", ".hidden", "a\\b", "a\x00b", "a\nb", "a\x1b[2J", "{x}", "x" * 129, "a*"]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_name_is_plain_or_refused(tmp_path: Path, name: str) -> None:
    assert not SAMPLE_NAME.fullmatch(name)
    path = tmp_path / "samples.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["sample", "split", "label", "color"], [name, "train", "yes", "a.mp4"]]
        )
    with pytest.raises(DataError) as caught:
        load_samples(TableData(layout="table", table=str(path)))
    line = str(caught.value)
    assert line.startswith(f"{path}, line ")
    assert line.isprintable()


def test_links_in_the_data_folder_are_followed_and_only_read(tmp_path: Path) -> None:
    """Video folders are links on many machines; their targets are read as videos."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "clip.mp4").symlink_to(next((DEMO / "train").glob("*_color.mp4")))
    for name, target in (("text.mp4", "/etc/passwd"), ("zeros.mp4", "/dev/zero")):
        (data / name).symlink_to(target)
    os.mkfifo(data / "pipe.mp4")
    rows = [[f"s{n}", "train", str(n % 2), path.name] for n, path in enumerate(data.iterdir())]
    rows += [["v", "val", "0", "clip.mp4"], ["t", "test", "1", "clip.mp4"]]
    with (data / "samples.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["sample", "split", "label", "color"], *rows])
    before = sorted(data.iterdir())
    table = TableData(layout="table", table=str(data / "samples.csv"))
    verify(table, "train", "all", 9, 5, str(tmp_path / "verify.csv"))
    actual = {Path(row.color).name: row.reason for row in read_verified(tmp_path / "verify.csv")}
    assert [name for name, reason in actual.items() if not reason] == ["clip.mp4"]
    assert len(actual) == 4
    assert sorted(data.iterdir()) == before


def config(**changes: Any) -> dict[str, Any]:
    return {
        "name": "small",
        "data": {"layout": "table", "table": "samples.csv"},
        "streams": {"joint": {"model": "slgcn"}},
        "tracks": {"rgb": {"streams": {"joint": 1.0}}},
        **changes,
    }


MMPOSE = {"estimator": "mmpose", "checkpoint": {"path": "x.pth"}}


@pytest.mark.parametrize(
    "path", ["a{x}", "a{{x}}", "}", "a<b>", "a\nb", "a\x1bb", "", "-rf", "~/x"]
)
def test_a_path_that_snakemake_or_a_program_takes_for_more_is_refused(path: str) -> None:
    track = {"streams": {"joint": 1.0}}
    for key, values in (
        ("results", config(results=path)),
        (
            "streams.joint.init.path",
            config(streams={"joint": {"model": "slgcn", "init": {"path": path}}}),
        ),
        ("tracks.rgb.template", config(tracks={"rgb": {**track, "template": path}})),
        ("features.keypoints.config", config(features={"keypoints": {**MMPOSE, "config": path}})),
    ):
        with pytest.raises(ConfigError) as caught:
            check_config(values)
        line = str(caught.value)
        assert line.startswith(f"config: {key}: ")
        assert line.isprintable()


NAMES = ["$(touch x)", "a b", "a;b", "{x}", "../x", "a/b", "-x", "ü", "", "A", "a\n", "x" * 65]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_experiments_streams_and_tracks_are_plain(name: str) -> None:
    for values in (
        config(name=name),
        config(streams={name: {"model": "slgcn"}}, tracks={"rgb": {"streams": {name: 1.0}}}),
        config(tracks={name: {"streams": {"joint": 1.0}}}),
        config(device=f"cuda:0{name}x"),
    ):
        with pytest.raises(ConfigError, match="should match pattern"):
            check_config(values)


# --- YAML -----------------------------------------------------------------------------------------


HOSTILE = {
    "a tag that runs": ("seed: !!python/object/apply:os.system ['touch canary']", "could not"),
    "a tag that makes": ("seed: !!python/object/new:os.mkdir [canary]", "could not determine"),
    "a name": ("seed: !!python/name:os.system", "could not determine a constructor"),
    "a value in itself": ("seed: &a [*a]", "seed: input should be a valid integer"),
    "a key in itself": ("&a ? *a\n: 1", ""),
    "a deep value": ("seed: " + "[" * 20_000, "not a readable YAML file"),
    "a huge number": ("seed: " + "9" * 10_000, "not a readable YAML file"),
    "a huge number, hexadecimal": ("seed: 0x" + "f" * 10_000, "seed: "),
    "no date": ("seed: 2020-13-45", "not a readable YAML file"),
    "two documents": ("seed: 1\n---\nseed: 2", "expected a single document"),
    "doubled": ("name: a\nseed: 1\nname: b", "line 3: key 'name' appears in line 1 too; keep one"),
    "templates of Snakemake": ("__use_yte__: true\n?open('canary', 'w'): 1", "unknown key"),
    "control characters": ("seed: \x1b[2J", "special characters are not allowed"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_yaml_is_one_line(tmp_path: Path, what: str) -> None:
    text, line = HOSTILE[what]
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(str(tmp_path / "x.yaml"))
    message = str(caught.value)
    assert line in message
    assert all(len(one) < 800 for one in message.splitlines())
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"]


def test_anchors_and_merged_keys_stay(tmp_path: Path) -> None:
    """The shipped configs override merged keys."""
    bone = "streams:\n  joint: &a {model: slgcn, width: 16}\n  bone: {<<: *a, width: 32}\n"
    values = yaml.safe_dump({k: v for k, v in config().items() if k != "streams"})
    (tmp_path / "x.yaml").write_text(values + bone)
    actual = read_config(str(tmp_path / "x.yaml")).streams["bone"]
    assert actual.model == "slgcn"
    assert actual.width == 32


def test_snakemake_refuses_a_doubled_key_too(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config()) + "name: other\n")
    root = DEMO.parent
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--dry-run", "--snakefile", root / "Snakefile"),
            *("--directory", tmp_path, "--configfile", tmp_path / "config.yaml", "--cores", "1"),
        ],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert "key 'name' appears in line" in done.stderr
    assert not (tmp_path / "results").exists()

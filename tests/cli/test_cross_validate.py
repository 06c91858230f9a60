"""`slr cross-validate`: an estimate on test that never uses a signer's own clips to fit."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slr_pipeline.cli.main import main
from slr_pipeline.io.logits import read_logits, write_logits
from slr_pipeline.scoring.logits import Logits
from tests.cli.conftest import one_error

GLOSSES = ("a", "b", "c")
PUBLISHED = {"fusion": "published", "streams": {"good": 1.0, "loud": 1.0}}


def write_experiment(folder: Path, *, labels: bool = True, signers: bool = True) -> str:
    """60 clips of test by three signers; `loud` has large logits without information."""
    generator = np.random.default_rng(4)
    rows = ["sample,split,label,signer,color", "v0,val,a,v,x.mp4"]
    rows += [f"t{label},train,{gloss},t,x.mp4" for label, gloss in enumerate(GLOSSES)]
    truth = [n % 3 for n in range(60)]
    for n, label in enumerate(truth):
        gloss, signer = GLOSSES[label] if labels else "", f"s{n // 20}" if signers else ""
        rows.append(f"c{n},test,{gloss},{signer},x.mp4")
    (folder / "samples.csv").write_text("\n".join(rows) + "\n")
    good = 2 * np.eye(3)[truth] + generator.normal(0, 1, (60, 3))
    loud = generator.normal(0, 9, (60, 3))
    for name, values in (("good", good), ("loud", loud)):
        names = tuple(f"c{n}" for n in range(60))
        logits = Logits(names, values.astype(np.float32), np.ones(60, bool), GLOSSES, "strict")
        write_logits(folder / f"{name}.h5", logits, {})
    config = {
        "name": "theirs",
        "data": {"layout": "table", "table": str(folder / "samples.csv")},
        "streams": {
            name: {"model": "imported", "reads": ["keypoints"], "test": str(folder / f"{name}.h5")}
            for name in ("good", "loud")
        },
        "tracks": {"rgb": PUBLISHED, "one": {"fusion": "published", "streams": {"good": 1.0}}},
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    return str(folder / "config.yaml")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    main(["cross-validate", *arguments, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_weights_of_each_signer_come_from_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_experiment(tmp_path)
    (found,) = printed(capsys, config, "--track", "rgb")["tracks"]
    assert found["fitted_on"] == "the other signers of test"
    assert sorted(found["weights"]) == ["s0", "s1", "s2"]
    assert found["correct"] == sum(signer["correct"] for signer in found["per_signer"])
    assert found["top1"] > found["configured"]["top1"]
    assert found["configured"]["only_a"] > found["configured"]["only_b"]
    # Other logits of one signer change the fits of the others and not their own.
    path = tmp_path / "good.h5"
    rows = [f"c{n}" for n in range(60)]
    values = np.random.default_rng(5).normal(0, 1, (60, 3)).astype(np.float32)
    values[20:] = read_logits(path).values[20:]
    write_logits(path, Logits(tuple(rows), values, np.ones(60, bool), GLOSSES, "strict"), {})
    (other,) = printed(capsys, config, "--track", "rgb")["tracks"]
    assert other["weights"]["s0"] == found["weights"]["s0"]
    assert other["weights"]["s1"] != found["weights"]["s1"]


def test_the_text_says_what_it_is_and_corrects_for_several_tracks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["cross-validate", write_experiment(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    for track in ("rgb: good, loud", "one: good"):
        assert f"track {track}; fitted on the other signers of test" in lines
    smallest = "smallest p after Bonferroni's correction for these 2 sets of streams: "
    assert lines[-2].startswith(smallest)
    assert "an estimate for new signers, not a submission" in lines[-1]


@pytest.mark.parametrize(
    ("changes", "flags", "error"),
    [
        ({"labels": False}, [], "test: an estimate without logits of val needs labels and the sig"),
        ({"signers": False}, [], "test: an estimate without logits of val needs labels and the s"),
        ({}, ["--track", "rgbd"], "--track rgbd: no such track; choose from rgb, one"),
    ],
)
def test_it_refuses_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, bool],
    flags: list[str],
    error: str,
) -> None:
    config = write_experiment(tmp_path, **changes)
    with pytest.raises(SystemExit):
        main(["cross-validate", config, *flags])
    assert one_error(capsys.readouterr().err).startswith(error)


def test_an_untuned_stream_answers_with_its_untuned_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(write_experiment(tmp_path))
    config = json.loads(path.read_text())
    config |= {"protocol": "challenge"}
    config["streams"]["good"]["untuned"] = str(tmp_path / "before.h5")
    write_logits(tmp_path / "before.h5", read_logits(tmp_path / "loud.h5"), {})
    for name in ("good", "loud"):
        tuned = replace(read_logits(tmp_path / f"{name}.h5"), protocol="challenge")
        write_logits(tmp_path / f"{name}.h5", tuned, {})
    loud = {"fusion": "published", "streams": {"loud": 1.0}}
    config["tracks"] = {"alone": loud, "twice": {**loud, "untuned": {"good": 1.0}}}
    path.write_text(json.dumps(config))
    alone, twice = printed(capsys, str(path))["tracks"]
    assert twice["configured"]["top1"] == alone["configured"]["top1"] < 0.6

"""Run every command of the documentation, on a small run and with the demo as AUTSL."""

import pickle
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import yaml

from slr_pipeline.cli.main import COMMANDS
from slr_pipeline.models.vision import torchvision

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = ("git", "make", "pip", "python", "slr", "snakemake")

# Commands that take too long or change the machine are only planned.
PLANNED = {
    "snakemake": ["--dry-run"],
    "make": ["--dry-run"],
    "pip": ["--dry-run", "--no-build-isolation", "--quiet"],
}
# A file with this name is refused unless it is the published one.
STAND_INS = {"r2plus1d_18-91a641e6.pth": "made_up.pth"}
# tests/end_to_end/test_own_data.py runs the commands of these sections, word for word.
ELSEWHERE = re.compile(
    r"\n## A folder of clips and a CSV\n.*(?=\n## The sample table\n)", re.DOTALL
)


def commands_of(page: Path) -> list[str]:
    """The lines of code blocks that start with a program, in order."""
    text = ELSEWHERE.sub("", page.read_text())
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.split(" ")[0] in PROGRAMS]


def inline_commands() -> set[str]:
    """Commands within sentences, without those with a placeholder."""
    texts = [text for page in PAGES for text in re.findall(r"`([^`\n]+)`", page.read_text())]
    return {
        text
        for text in texts
        if text.split(" ")[0] in PROGRAMS and " " in text and not re.search(r"[{<\[]|\.\.\.", text)
    }


@pytest.fixture(scope="module")
def project(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a finished run, AUTSL, videos and files of other programs."""
    folder = tmp_path_factory.mktemp("clone") / "slr_pipeline"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split("\0"):
        if name and not name.startswith(("demo/", "tests/")) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "demo").symlink_to(ROOT / "demo")
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data/autsl").symlink_to(ROOT / "demo")  # it has the same layout
    for name in ("results", "samples.csv", "signs.txt"):
        source = run_folder / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    shutil.copy(ROOT / "demo/test/signer6_sample2_color.mp4", folder / "clip.mp4")
    (folder / "clips").mkdir()
    for kind in ("color", "depth"):
        shutil.copy(ROOT / f"demo/test/signer6_sample2_{kind}.mp4", folder / f"clips/a_{kind}.mp4")
    rgb = torchvision.models.video.r2plus1d_18(weights=None)
    torch.save(rgb.state_dict(), folder / STAND_INS["r2plus1d_18-91a641e6.pth"])
    hands = torchvision.models.resnet34(weights=None)
    torch.save(hands.state_dict(), folder / "hands.pth")
    for model, source, target in (
        ("r2plus1d", STAND_INS["r2plus1d_18-91a641e6.pth"], "r2plus1d_18_kinetics"),
        ("vtn", "hands.pth", "resnet34_imagenet"),
    ):
        command = ["slr", "import-checkpoint", "--model", model, source]
        run([*command, f"weights/{target}.safetensors"], folder)
    write_files_of_own_data(folder)
    return folder


def write_files_of_own_data(folder: Path) -> None:
    """What own-data.md and autsl-winners.md name: tables, a submission, scores."""
    rows = [f"s{i}_{j},{'ab'[j % 2]},s{i},s{i}_{j}.mp4\n" for i in range(10) for j in range(4)]
    (folder / "all.csv").write_text("sample,label,signer,color\n" + "".join(rows))
    (folder / "template.csv").write_text("a,0\nb,0\n")
    with zipfile.ZipFile(folder / "submission.zip", "w") as archive:
        archive.writestr("predictions.csv", "a,1\nb,2\n")
    labels = (ROOT / "demo/test_labels.csv").read_text().splitlines()
    scores = {line.partition(",")[0]: [0.0] * 8 for line in labels}
    for name in ("scores", "joint", "joint_finetuned"):
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(scores))
    demo = yaml.safe_load((ROOT / "config.yaml").read_text())
    demo["data"]["root"] = str(ROOT / "demo")
    (folder / "mysigns").mkdir()
    (folder / "mysigns/config.yaml").write_text(yaml.safe_dump(demo))
    (folder / "winners").mkdir()
    for stream in ("skeleton", "sstcn", "rgb", "flow", "hha", "depth_flow"):
        (folder / f"winners/{stream}.pkl").write_bytes(pickle.dumps(scores))


def run(command: list[str], folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    program = {
        "slr": [sys.executable, "-m", "slr_pipeline.cli.main"],
        "snakemake": [str(Path(sys.executable).with_name("snakemake"))],
        "pip": [sys.executable, "-m", "pip"],
        "python": [sys.executable],
    }.get(command[0], command[:1])
    done = subprocess.run(
        [*program, *command[1:], *more],
        cwd=folder,
        env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(folder),
            "PYTHONPATH": str(folder),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
    return done


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page(page: Path, project: Path) -> None:
    commands = commands_of(page)
    for line in commands:
        words = [STAND_INS.get(word, word) for word in shlex.split(line, comments=True)]
        if words[0] == "git":
            assert words[:2] == ["git", "clone"]
            target = str(project.parent / "another clone")
            run(["git", "clone", "--quiet", str(ROOT), target], project)
            continue
        run(words, project, *PLANNED.get(words[0], []))


def test_commands_in_sentences_exist() -> None:
    """Code blocks are run; here only names and files are looked up."""
    makefile = (ROOT / "Makefile").read_text()
    for text in inline_commands():
        words = shlex.split(text)
        if words[0] == "slr":
            assert words[1] in COMMANDS, text
        elif words[0] == "make":
            assert re.search(rf"^{re.escape(words[1])}:", makefile, re.MULTILINE), text
        elif words[:2] == ["python", "-m"]:
            module = ROOT / words[2].replace(".", "/")
            assert module.with_suffix(".py").is_file() or module.is_dir(), text


def test_every_command_of_slr_is_explained() -> None:
    text = "".join(page.read_text() for page in PAGES)
    unexplained = [name for name in COMMANDS if f"slr {name}" not in text]
    assert unexplained == []
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["references"]

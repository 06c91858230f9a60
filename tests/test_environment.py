"""One version per package: pip, conda and the locks agree. The wheel contains the whole package."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
REQUIREMENTS = {"mediapipe": "requirements/pose.txt", "mmpose": "requirements/mmpose.txt"}


PYTHONS = ["3.11", "3.13"]  # with an own version of mediapipe each


def pins(lines: Iterable[str], python: str = PYTHONS[0]) -> dict[str, str]:
    """Version by package for a Python."""
    texts = (line.split("#")[0].strip() for line in lines)
    found = {}
    for requirement in (Requirement(text) for text in texts if text):
        here = {"python_version": python, "python_full_version": f"{python}.0"}
        if requirement.marker is None or requirement.marker.evaluate(here):
            found[canonicalize_name(requirement.name)] = str(requirement.specifier)[2:]
    return found


def pins_of(name: str, python: str = PYTHONS[0]) -> dict[str, str]:
    return pins((ROOT / name).read_text().splitlines(), python)


CONSTRAINTS = pins_of("requirements/constraints.txt")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_citation_names_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]


def test_every_requirement_is_pinned_within_its_range() -> None:
    extras = PROJECT["optional-dependencies"].values()
    texts = [*PROJECT["dependencies"], *(text for extra in extras for text in extra)]
    for requirement in map(Requirement, texts):
        version = CONSTRAINTS[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("estimator", "name"), REQUIREMENTS.items())
def test_an_estimator_pins_nothing_differently(estimator: str, name: str, python: str) -> None:
    pose, constraints = pins_of(name, python), pins_of("requirements/constraints.txt", python)
    assert estimator in pose
    differing = {name for name in pose if constraints.get(name, pose[name]) != pose[name]}
    assert differing == set()


def test_the_release_for_tasks_is_that_of_new_pythons() -> None:
    tasks = pins_of("requirements/tasks.txt")
    assert tasks["mediapipe"] == pins_of("requirements/pose.txt", PYTHONS[1])["mediapipe"]
    locked = (ROOT / "requirements/tasks.lock").read_text()
    assert pins(re.findall(r"^\S+==\S+", locked, re.MULTILINE)) == tasks


OF_CONDA = {
    "matplotlib": "matplotlib-base",
    "opencv-contrib-python-headless": "py-opencv",
    "torch": "pytorch",
    "typing-extensions": "typing_extensions",
    "zlib-ng": "python-zlib-ng",
    "flatbuffers": "python-flatbuffers",
}
"""conda-forge's name of a package where PyPI has another one."""


def test_conda_has_the_same_ranges() -> None:
    environment = yaml.safe_load((ROOT / "workflow/envs/slr.yaml").read_text())
    conda = {re.split("[<=>]", text)[0]: text for text in environment["dependencies"]}
    pip = set((ROOT / "workflow/envs/slr.post-deploy.sh").read_text().split())
    extras = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *extras["mmpose"], *extras["onnx"]]:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name == "snakemake" or name in pip:  # Snakemake runs outside of the environment
            continue
        name = OF_CONDA.get(name, name)
        assert conda[name] == f"{name}{requirement.specifier}"


def test_conda_has_what_packages_without_dependencies_import() -> None:
    environment = yaml.safe_load((ROOT / "workflow/envs/slr.yaml").read_text())
    conda = {re.split("[<=>]", text)[0] for text in environment["dependencies"]}
    needed = {canonicalize_name(Requirement(text).name) for text in requires("lightning-fabric")}
    with_matplotlib = {
        canonicalize_name(Requirement(text).name) for text in requires("matplotlib")
    } | {"tzdata"}  # of pandas
    pose = pins_of("requirements/pose.txt")
    needed |= set(pose) - with_matplotlib - {"mediapipe"}
    assert {OF_CONDA.get(name, name) for name in needed} <= conda


def requires(package: str) -> list[str]:
    """What a package requires without its extras."""
    texts = importlib.metadata.requires(package) or []
    return [text for text in texts if "extra ==" not in text]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    "name", ["requirements/pip.lock", "requirements/run.lock", "requirements/test.lock"]
)
def test_a_lock_has_the_same_pins_each_with_its_hashes(name: str, python: str) -> None:
    entries = re.split(r"\n(?! )", (ROOT / name).read_text())
    locked = [entry for entry in entries if entry and not entry.startswith("#")]
    assert all("--hash=sha256:" in entry for entry in locked)
    versions = pins((entry.split("\\")[0] for entry in locked), python)
    known = {}
    for text in (*REQUIREMENTS.values(), "requirements/constraints.txt"):
        known |= pins_of(text, python)
    assert versions == {package: known[package] for package in versions}
    if name == "requirements/test.lock":  # torch is not locked: each machine needs its own build
        assert set(known) - set(versions) == {"torch", "pip"}


def test_uv_installs_the_same_locks_with_their_hashes(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements"):
        (tmp_path / name).symlink_to(ROOT / name)
    printed = {}
    for installer, words in (("-m pip install", []), ("uv pip install", ["UV=1"])):
        command = ["make", "--dry-run", f"PYTHON={sys.executable}", *words, "install"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        lines = [line for line in done.stdout.splitlines() if installer in line]
        printed[installer] = [line.split()[-4:] for line in lines]
    assert len(set(map(str, printed.values()))) == 1
    *locks, package = printed["uv pip install"]
    names = ["requirements/pip.lock", "requirements/run.lock"]
    assert locks == [["--no-deps", "--require-hashes", "-r", name] for name in names]
    assert package == ["-c", "requirements/constraints.txt", "-e", "."]


def test_no_path_or_host_of_a_machine_is_committed() -> None:
    names = ["Makefile", "README.md", "pyproject.toml", *REQUIREMENTS.values()]
    names += ["requirements/constraints.txt", *map(str, ROOT.glob("requirements/*.lock"))]
    text = "".join((ROOT / name).read_text() for name in names)
    assert re.search(r"find-links|index-url|file://|https?://(?!snakemake)", text) is None


def test_the_wheel_contains_the_whole_package_and_nothing_else(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    for folder in ("slr_pipeline", "demo/renderer"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(out), str(source)]
    subprocess.run(command, check=True)
    (wheel,) = out.glob("*.whl")
    expected = {
        str(path.relative_to(ROOT))
        for path in ROOT.glob("slr_pipeline/**/*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert files == expected

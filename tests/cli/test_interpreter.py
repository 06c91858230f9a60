"""Commands and steps in folders with a user's own modules, and in copies of the environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from slr_pipeline.cli.interpreter import isolated
from tests.machines import NEEDS_OTHER_USER, OTHER_USER
from tests.shared_data import CASES
from tests.workflow.conftest import MISSING, WorkflowRun, make_run

ROOT = Path(__file__).parents[2]
NAMES = ("random", "json", "pickle", "socket", "torch", "numpy", "slr_pipeline/__init__")


@pytest.fixture
def shadowed(tmp_path: Path) -> Path:
    """A folder with modules that note that they were imported."""
    for name in NAMES:
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write(__name__)\n")
    case = CASES / "shadow/copy.py"
    text = case.read_text() if case.exists() else ""
    (tmp_path / "copy.py").write_text(text + (tmp_path / "random.py").read_text())
    return tmp_path


def call(*command: object, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_imports_nothing_from_its_folder(shadowed: Path) -> None:
    """Rules, the processes of their decoders, and the jobs of a cluster."""
    run = make_run(shadowed / "run")
    for path in (*shadowed.glob("*.py"), shadowed / "slr_pipeline"):
        path.rename(run.folder / path.name)
    snakemake = [sys.executable, "-P", "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    (run.folder / "config.yaml").write_text(str(run.config))  # JSON is YAML
    done = call(*snakemake, "--cores", 2, "results/quarantine.csv", cwd=run.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (shadowed / "imported").exists()


@pytest.mark.parametrize("pythonpath", [":{}", "{}:", ".:{}", "{}:demo:"])
def test_a_relative_entry_of_pythonpath_is_the_working_folder(
    shadowed: Path, monkeypatch: pytest.MonkeyPatch, pythonpath: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", pythonpath.format(ROOT))
    assert isolated()["PYTHONPATH"] == str(ROOT)
    code = "import copy, random; import slr_pipeline.steps.config"
    done = call(sys.executable, "-c", code, cwd=shadowed, **isolated())
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert not (shadowed / "imported").exists()


@pytest.mark.parametrize("command", ["slr", "snakemake"])
def test_a_copied_environment_is_refused(tmp_path: Path, command: str) -> None:
    script = Path(sys.executable).with_name(command)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/pyvenv.cfg").write_text("")
    copy = shutil.copy(script, tmp_path / ".venv/bin")
    done = call(copy, "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: {tmp_path}/.venv is a copy of {sys.prefix} and would run the code there; make it "
        f"anew: make -C {tmp_path} install\n"
    )
    link = tmp_path / command
    link.symlink_to(script)
    assert call(link, "--version", cwd=tmp_path).returncode == 0


def bare_machine(run: WorkflowRun, target: str, *inside: str, **environment: str) -> str:
    """Make a file of the results with nothing but these variables; returns what is printed."""
    config = run.folder / "config.yaml"
    config.write_text(yaml.safe_dump(run.config, allow_unicode=True), encoding="utf-8")
    script = Path(sys.executable).with_name("snakemake")
    words = ("--snakefile", ROOT / "Snakefile", "--cores", "1", f"results/{target}")
    done = subprocess.run(
        [*inside, script, *words],
        cwd=run.folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        check=False,
    )
    return (done.stdout + done.stderr).decode()


@NEEDS_OTHER_USER
@pytest.mark.parametrize(
    ("home", "target"), [({}, "quarantine.csv"), ({"HOME": "/proc"}, "config.yaml")]
)
def test_a_user_without_name_and_home(tmp_path: Path, home: dict[str, str], target: str) -> None:
    run = make_run(tmp_path / "run")
    printed = bare_machine(run, target, *OTHER_USER, **home, TMPDIR=str(tmp_path))
    assert (run.folder / "results" / target).exists(), printed
    assert (tmp_path / "slr-home-12345").stat().st_mode & 0o777 == 0o700


@NEEDS_OTHER_USER
def test_results_of_another_user(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    closed = run.folder / "results/verify"
    closed.mkdir(parents=True, mode=0o555)
    printed = bare_machine(run, "config.yaml", *OTHER_USER, HOME=str(tmp_path))
    [line] = [line for line in printed.splitlines() if "error" in line.lower()]
    assert line.startswith(f"error: {closed}: this user may not write there; run in a folder of")
    closed.chmod(0o777)
    bare_machine(run, "config.yaml", *OTHER_USER, HOME=str(tmp_path))
    assert (run.folder / "results/config.yaml").exists()


@pytest.mark.parametrize(
    ("encoding", "target"), [("ascii", "config.yaml"), ("latin-1", "quarantine.csv")]
)
def test_a_locale_that_is_not_utf8(tmp_path: Path, encoding: str, target: str) -> None:
    """ASCII is the locale C as other programs see it; Latin-1 needs the system's localedef."""
    run = make_run(tmp_path / "手話 işaret")
    run.write_rows([row for row in run.rows() if row["sample"] != MISSING])
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    if encoding == "latin-1":
        made = tmp_path / "en_US.ISO-8859-1"
        command = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", made]
        if not shutil.which("localedef") or subprocess.run(command, check=False).returncode:
            pytest.skip("no localedef with en_US and ISO-8859-1 (Debian: locales)")
        locale = {"LC_ALL": made.name, "LOCPATH": str(tmp_path)}
    printed = bare_machine(run, target, HOME=str(tmp_path), PYTHONIOENCODING=encoding, **locale)
    assert (run.folder / "results" / target).exists(), printed
    slr = Path(sys.executable).with_name("slr")
    done = call(slr, "check", cwd=run.folder, **locale, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_checkout_is_not_run_with_the_code_of_another(tmp_path: Path) -> None:
    """As after activating a copied environment, whose activate script names the original."""
    for name in ("slr_pipeline", "workflow", "profiles"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "Snakefile", tmp_path)
    run = make_run(tmp_path / "run")
    (run.folder / "config.yaml").write_text(str(run.config))
    snakemake = [Path(sys.executable).with_name("snakemake"), "--snakefile", tmp_path / "Snakefile"]
    for code, line in (
        (ROOT, f"error: {tmp_path}: this checkout would be run with"),
        (tmp_path, ""),
    ):
        done = call(*snakemake, "--dry-run", cwd=run.folder, PYTHONPATH=str(code))
        assert (done.returncode != 0) == bool(line), done.stderr
        assert line in done.stderr


PYTHON = """#!/bin/sh
# Makes an environment that takes no time: its python does nothing.
mkdir -p .venv/bin && printf '#!/bin/sh\\n' > .venv/bin/python && chmod +x .venv/bin/python
printf "#!$PWD/.venv/bin/python\\n" > .venv/bin/slr
"""


def test_make_notices_a_copied_or_moved_environment(tmp_path: Path) -> None:
    folder, copy = tmp_path / "a folder", tmp_path / "copy"
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    make = ["make", "install", f"PYTHON={python}"]

    def installs(folder: Path) -> bool:
        done = call(*make, cwd=folder)
        assert done.returncode == 0, done.stderr
        return "Installing" in done.stdout

    assert [installs(folder), installs(folder)] == [True, False]
    shutil.copytree(folder, copy)
    (copy / ".venv/old").touch()
    assert [installs(copy), installs(copy), installs(folder)] == [True, False, False]
    assert not (copy / ".venv/old").exists()
    folder.rename(tmp_path / "moved")
    assert installs(tmp_path / "moved")
    (copy / ".venv/bin/python").unlink()
    assert [installs(copy), installs(copy)] == [True, False]

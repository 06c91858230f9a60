"""A full disk in each step that writes: one error line, the old files unchanged, no others."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.workflow.commands import environment, output_of
from tests.workflow.conftest import WorkflowRun

# Replace folder $1 by a disk of $3 kB with the same files, then run $4. $2 is a temporary copy.
ON_A_SMALL_DISK = """
cp -a "$1" "$2" && mount -t tmpfs -o size="$3"k tmpfs "$1" && cp -a "$2/." "$1" && bash -c "$4"
status=$?
cd "$1" && find . -type f -exec sha256sum {} +
exit $status
"""
RULES = ("verify", "keypoints", "quality", "frames", "hand_crops", "flow", "heatmaps", "hha")
RULES += ("train", "predict", "ensemble", "report")


def test_every_rule_that_writes_much_is_tested(commands: dict[str, list[str]]) -> None:
    # Text files, written like `quality`.
    small = {"config", "duplicates", "quarantine", "evaluate", "overview"}
    alike = {"pose_flow"}  # written like `keypoints`
    assert set(commands) == {*RULES, *small, *alike}


@pytest.mark.parametrize("rule", RULES)
def test_a_full_disk(
    rule: str, commands: dict[str, list[str]], copied_run: WorkflowRun, tmp_path: Path
) -> None:
    mount = ["unshare", "-rm", "bash", "-c", 'mount -t tmpfs tmpfs "$0"', str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted")
    folder = copied_run.folder
    command = commands[rule][0]
    place = folder / output_of(command).parent
    before = {f"./{path.relative_to(place)}": path for path in place.rglob("*") if path.is_file()}
    used_kb = sum(-(-path.stat().st_size // 4096) * 4 for path in before.values())
    room_kb = 0 if rule in ("verify", "quality", "ensemble") else 4
    script = ["unshare", "-rm", "bash", "-c", ON_A_SMALL_DISK, "bash", str(place)]
    done = subprocess.run(
        [*script, str(tmp_path / "kept"), str(used_kb + room_kb), command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    log = (folder / command.rpartition("2> ")[2]).read_text()
    assert done.returncode == 1, log + done.stderr
    errors = [line for line in log.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, log
    assert "cannot be written (no space left on device); free some space" in errors[0]
    assert log.splitlines()[-1] == errors[0]
    assert "Traceback" not in log
    files = {line.split("  ", 1)[1]: line.split()[0] for line in done.stdout.splitlines()}
    assert files == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in before.items()
    }

"""`scratch` is where videos are decoded, nothing else."""

from tests.workflow.conftest import WorkflowRun


def test_scratch_changes_no_byte_and_remakes_nothing(copied_run: WorkflowRun) -> None:
    run, folder = copied_run, copied_run.folder
    planned = run.planned("submission", "features", scratch="$TMPDIR")
    assert planned == {"config": 1, "submission": 1}  # the copy of the config beside the results
    frames = sorted(folder.glob("results/features/frames/val/*.h5"))
    before = [path.read_bytes() for path in frames]
    for path in frames:
        path.unlink()
    names = [str(path.relative_to(folder)) for path in frames]
    refused = run.snakemake(*names, scratch="$NO_SUCH_VARIABLE")
    assert "error: " in refused.stderr + refused.stdout
    assert "scratch: cannot create a file in $NO_SUCH_VARIABLE" in refused.stderr + refused.stdout
    done = run.snakemake(*names, scratch="$TMPDIR")
    assert done.returncode == 0, done.stderr
    assert [path.read_bytes() for path in frames] == before

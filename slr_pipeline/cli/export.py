"""Write trained streams as ONNX files, or the keypoints of a run for other programs."""

import argparse
from pathlib import Path

from slr_pipeline.errors import ConfigError


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--onnx", nargs="+", metavar="STREAM", help="streams with a model")
    what.add_argument("--keypoints", choices=("pose", "openpose", "mmaction2"))
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of a run")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--samples", nargs="+", help="whose keypoints; all by default")
    parser.add_argument(
        "--layout", help="of keypoints, see docs/how-to/estimators.md; 133 by default"
    )


def main(given: argparse.Namespace) -> None:
    """Write what was asked for, and say what was written."""
    if given.onnx:
        if given.samples or given.layout:
            raise ConfigError("--samples and --layout go with --keypoints; leave them out")
        export_onnx(given.results, given.onnx, given.out)
        return
    from slr_pipeline.io.foreign.exporting import export_keypoints  # noqa: PLC0415

    written, quarantined = export_keypoints(
        given.results, given.keypoints, given.out, layout=given.layout, samples=given.samples
    )
    print(f"{given.out}: {written} samples, {quarantined} quarantined ones left out")


def export_onnx(results: Path, streams: list[str], out: Path) -> None:
    """Write `out/{stream}.onnx` and its page of each stream, once all of them are checked."""
    from slr_pipeline.cli.onnx.stream import export_stream  # noqa: PLC0415
    from slr_pipeline.io.documents import read_run_config  # noqa: PLC0415

    config = read_run_config(results)
    for made in [export_stream(config, results, stream) for stream in streams]:
        made.write(out)
        clips = f"{made.real:.1e} on {made.clips} clips of the run" if made.clips else "no clips"
        print(
            f"{out / made.stream}.onnx: {len(made.content) / 1e6:.1f} MB; logits differ from "
            f"torch's by at most {made.made_up:.1e} on made-up inputs, {clips}"
        )

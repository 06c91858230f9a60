"""Export trained streams as ONNX files, or keypoints and answers of a run for other programs."""

import argparse
from pathlib import Path

from slr_pipeline.errors import ConfigError


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--onnx", nargs="+", metavar="STREAM", help="streams to export as ONNX")
    what.add_argument(
        "--keypoints", choices=("pose", "openpose", "mmaction2"), help="format of keypoints"
    )
    what.add_argument(
        "--elan", action="store_true", help="signs and answers as tiers of ELAN, a file per video"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="results folder of the run"
    )
    parser.add_argument("--out", type=Path, required=True, help="output folder")
    parser.add_argument(
        "--samples", nargs="+", help="samples of --keypoints, --elan (default: all)"
    )
    parser.add_argument(
        "--layout",
        help="keypoint layout (default: coco-wholebody-133; of openpose: body-25), see "
        "docs/how-to/estimators.md",
    )


def main(given: argparse.Namespace) -> None:
    """Write the export and print a summary."""
    if given.onnx:
        if given.samples or given.layout:
            raise ConfigError("--samples and --layout need --keypoints; remove them")
        export_onnx(given.results, given.onnx, given.out)
        return
    if given.elan:
        if given.layout:
            raise ConfigError("--layout needs --keypoints; remove it")
        from slr_pipeline.io.foreign.elan_export import export_elan

        files, count = export_elan(given.results, given.out, given.samples)
        print(f"{given.out}: {files} files of {count} samples")
        return
    from slr_pipeline.io.foreign.exporting import export_keypoints

    written, quarantined = export_keypoints(
        given.results, given.keypoints, given.out, layout=given.layout, samples=given.samples
    )
    print(f"{given.out}: {written} samples, {quarantined} quarantined samples skipped")


def export_onnx(results: Path, streams: list[str], out: Path) -> None:
    """Write `out/{stream}.onnx` and its page for each stream after checking all of them."""
    from slr_pipeline.cli.onnx.stream import export_stream
    from slr_pipeline.io.documents import read_run_config

    config = read_run_config(results)
    for export in [export_stream(config, results, stream) for stream in streams]:
        export.write(out)
        on_clips = f"{export.on_clips.logits:.1e} on {export.clips} clips of the run"
        print(
            f"{out / export.stream}.onnx: {len(export.content) / 1e6:.1f} MB; logits differ from "
            f"PyTorch's float64 by at most {export.on_random.logits:.1e} of their spread on random "
            "inputs, "
            f"{on_clips if export.clips else 'no clips'}"
        )

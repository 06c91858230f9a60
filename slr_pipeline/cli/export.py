"""Export the models of a track, streams as ONNX files, or keypoints and answers of a run."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from slr_pipeline.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--onnx", nargs="+", metavar="STREAM", help="streams to export as ONNX")
    what.add_argument("--models", metavar="TRACK", help="what `slr predict` needs of a track")
    what.add_argument(
        "--keypoints", choices=("pose", "openpose", "mmaction2"), help="format of keypoints"
    )
    what.add_argument(
        "--elan", action="store_true", help="signs and answers as tiers of ELAN, a file per video"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="results folder of the run"
    )
    parser.add_argument("--half", action="store_true", help="weights of --models in half precision")
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
    if given.half and not given.models:
        raise ConfigError("--half needs --models; remove it")
    if (given.models or given.onnx) and (given.samples or given.layout):
        raise ConfigError("--samples and --layout need --keypoints; remove them")
    if given.models:
        export_models(given.results, given.models, given.out, half=given.half)
        return
    if given.onnx:
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


def export_models(results: Path, track: str, out: Path, *, half: bool) -> None:
    """Write what `slr predict --models OUT` needs of a track: config, metrics, weights.

    With `half` the weights are float16, but for those that exceed its range.
    """
    import shutil

    from slr_pipeline.cli.recognition import files_of_track
    from slr_pipeline.io.documents import read_run_config
    from slr_pipeline.io.models import load_model, save_model
    from slr_pipeline.steps.config import config as write_config

    config = read_run_config(results)
    if track not in config.tracks:
        raise ConfigError(
            f"--models {track}: no such track; choose from {', '.join(config.tracks)}"
        )
    if out.exists():
        raise ConfigError(f"--out {out}: already there; remove it, or name another folder")
    metrics, weights = files_of_track(results, config, track)
    settings = config.tracks[track]
    streams = {name: config.streams[name] for name in (*settings.streams, *settings.untuned)}
    (out / metrics.relative_to(results)).parent.mkdir(parents=True)
    write_config(
        config.model_copy(update={"streams": streams, "tracks": {track: settings}}),
        str(out / "config.yaml"),
    )
    shutil.copyfile(metrics, out / metrics.relative_to(results))
    written = 0
    for path in [path for seeds in weights.values() for path in seeds]:
        state, sidecar = load_model(path)
        if half:
            state = {name: _halved(value) for name, value in state.items()}
        copy = out / path.relative_to(results)
        copy.parent.mkdir(parents=True, exist_ok=True)
        save_model(copy, state, sidecar)
        written += copy.stat().st_size
    print(f"{out}: track {track}, {written / 1e6:.1f} MB of weights")


def _halved(value: "Tensor") -> "Tensor":
    """A tensor of floats as float16, if all its values remain finite."""
    half = value.half()
    return half if value.is_floating_point() and bool(half.isfinite().all()) else value


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

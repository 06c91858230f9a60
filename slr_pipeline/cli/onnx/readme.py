"""The page beside an ONNX file: what goes in, what comes out, what made it."""

from collections.abc import Mapping, Sequence
from typing import Any

from slr_pipeline.cli.onnx.graph import OPSET, TOLERANCE
from slr_pipeline.cli.onnx.inputs import Input

MODELS = {
    "slgcn": "SL-GCN (Jiang et al., 2021, section 3.1)",
    "sstcn": "SSTCN (Jiang et al., 2021, section 3.2)",
    "r2plus1d": "R(2+1)D-18 with SiLU (Tran et al., 2018; Jiang et al., 2021, section 3.3)",
    "vtn": "VTN-HC/PF (De Coster et al., 2021)",
}

PYTHON = """\
import json
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("{stream}.onnx")
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
inputs = {{  # of three clips
{inputs}
}}
(logits,) = session.run(["logits"], inputs)  # (3, {classes})
for row in logits:
    print([classes[k] for k in np.argsort(-row)[:5]])
"""


def readme(
    stream: str,
    inputs: Sequence[Input],
    steps: Sequence[str],
    sidecar: Mapping[str, Any],
    views: int,
    facts: Mapping[str, str],
) -> str:
    """The page, in Markdown.

    `steps` lead from a video to the inputs; `sidecar` is that of the weights; `views` are the clips
    of a video whose logits are averaged; `facts` are what the file is made from and with.
    """
    settings, classes = sidecar["stream"], sidecar["classes"]
    rows = [
        f"| `{given.name}` | {_shape(given)} | {_axes(given)} | {given.values} |"
        for given in inputs
    ]
    averaged = (
        f" The logits of a video are the mean of those of its {views} clips." if views > 1 else ""
    )
    made = [f"| {name} | `{value}` |" for name, value in facts.items()]
    return "\n".join(
        [
            f"# {stream}.onnx",
            "",
            f"{MODELS[settings['model']]}, stream `{stream}` of slr_pipeline, fidelity "
            f"`{settings['fidelity']}`, protocol `{sidecar['protocol']}`. It tells {len(classes)} "
            "isolated signs from each other; whatever it is shown, it names one of them.",
            "",
            "## Input",
            "All float32. `batch` is any number of clips.",
            "",
            "| name | shape | axes after `batch` | values |",
            "|---|---|---|---|",
            *rows,
            "",
            "### From a video to the input",
            *(f"{number}. {step}" for number, step in enumerate(steps, start=1)),
            "",
            "## Output",
            f"`logits`, (batch, {len(classes)}): one number a class, in the order below; a softmax "
            f"makes them add up to 1.{averaged}",
            "",
            "## In Python",
            "```python",
            PYTHON.format(
                stream=stream,
                inputs="\n".join(
                    f'    "{given.name}": np.zeros({(3, *given.shape)}, np.float32),'
                    for given in inputs
                ),
                classes=len(classes),
            ).rstrip(),
            "```",
            "",
            "## Made from",
            "| what | |",
            "|---|---|",
            *made,
            "",
            f"ONNX opset {OPSET}. Before this file was written its logits were compared with those "
            f"of torch in batches of several sizes: none differed by more than {TOLERANCE:g}, "
            "or by more than that part of the largest logit where an input was made up.",
            "",
            "## Classes",
            *(f"- {number}: {_escaped(name)}" for number, name in enumerate(classes)),
            "",
        ]
    )


def _shape(given: Input) -> str:
    return f"(batch, {', '.join(map(str, given.shape))})"


def _axes(given: Input) -> str:
    return "; ".join(name for name, _ in given.axes)


def _escaped(name: str) -> str:
    """A class's name as it is read, whatever marks of Markdown it has."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|" else letter for letter in name)

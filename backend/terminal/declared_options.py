"""Command-line options from the fields of a class of options, so that each is declared once (``protocol.options``)."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from backend.errors import UserError
from protocol.codec import ProtocolError
from protocol.option_fields import OptionField, Options, option_fields

O = TypeVar("O", bound=Options)  # noqa: E741


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with its one parameter of an ``Options`` class replaced by an option for each of that class's fields.

    Whoever calls it gives the fields by name, as typer does, and the command gets them as one object. It raises
    UserError (``bad_option``) naming the option as it is typed.
    """
    signature = inspect.signature(command)
    hints = typing.get_type_hints(command, include_extras=True)
    (name,) = [name for name, hint in hints.items() if inspect.isclass(hint) and issubclass(hint, Options)]
    cls = hints[name]
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name == name:
            parameters += [_parameter(item) for item in option_fields(cls)]
        else:
            by_name = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=by_name))

    @functools.wraps(command)
    def expanded(**given: Any) -> None:
        values = {item.name: given.pop(item.name, _default(item)) for item in option_fields(cls)}
        command(**given, **{name: read_options(cls, values)})

    expanded.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    expanded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": None}
    return expanded


def read_options(cls: type[O], values: Mapping[str, Any]) -> O:
    """Options from what was typed; raises UserError (``bad_option``) naming the option as it is typed."""
    read = {}
    for item in option_fields(cls):
        value, called = values[item.name], f"--{item.flag}"
        try:
            if item.typed_by_name:
                value = item.from_name(value, called)
            elif item.about.path:
                value = None if value is None else str(value)
            read[item.name] = item.checked(value, called)
        except ProtocolError as error:
            raise UserError(error.code, error.message, error.hint) from error
    return cls(**read)


def _parameter(item: OptionField) -> inspect.Parameter:
    about, kind, sentence = item.about, item.type, item.about.help
    metavar, names = None, [f"--{item.flag}"]
    if item.typed_by_name:
        metavar = "|".join(choice.name for choice in about.choices)
        sentence += " " + "; ".join(f"{choice.name}: {choice.help}" for choice in about.choices if choice.help) + "."
    elif about.path:
        kind = Path
    elif kind is bool:
        names = [f"--{item.flag}/--no-{item.flag}"]
        sentence += "".join(
            f" {'Without either' if choice.value is None else choice.label}: {choice.help}." for choice in about.choices
        )
    elif about.unit:
        metavar = about.unit.upper()
    shown = typer.Option(*names, help=sentence, metavar=metavar, min=about.minimum, max=about.maximum)
    typed: Any = kind | None if item.optional and not item.typed_by_name else kind
    annotation = Annotated[typed, shown]
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=_default(item), annotation=annotation)


def _default(item: OptionField) -> Any:
    return item.name_of(item.default) if item.typed_by_name else item.default

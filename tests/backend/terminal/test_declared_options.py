"""Options on the command line, from the fields that declare them."""

from __future__ import annotations

import re

import pytest
import typer
from typer.testing import CliRunner

from backend.cli import app as flowface
from backend.errors import UserError
from backend.terminal.declared_options import with_options
from protocol.options import SolveOptions, option_fields
from tests.protocol.more_options import MoreOptions

WIDE = {"COLUMNS": "250"}


def run(*arguments: str) -> tuple[str, MoreOptions]:
    """The arguments of a command that takes a name, ``MoreOptions`` and a switch after them."""
    got: list[tuple[str, MoreOptions]] = []
    app = typer.Typer()

    @app.command()
    @with_options
    def command(name: str, options: MoreOptions = MoreOptions(), last: bool = False) -> None:  # noqa: B008
        """Do it."""
        got.append((f"{name} {last}", options))

    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return got[0]


def words(text: str) -> str:
    """A help's text without its frame and line breaks."""
    return re.sub(r"[│\s]+", " ", text)


@pytest.mark.parametrize("item", option_fields(SolveOptions), ids=lambda item: item.name)
def test_every_option_of_a_solve_is_one_of_track(item):
    shown = words(CliRunner().invoke(flowface, ["track", "--help"], env=WIDE).output)
    assert f"--{item.flag} " in shown and item.about.help in shown
    assert all(choice.help in shown for choice in item.about.choices)


def test_nothing_typed_is_the_defaults():
    assert run("x") == ("x False", MoreOptions())


def test_every_kind_of_option_is_read():
    typed = "--smooth 2 --passes 5 --seed 7 --notes hi --mask m.png --quick --lens brown --deform none --no-match-skin"
    made = MoreOptions(
        smooth=2.0,
        passes=5,
        seed=7,
        notes="hi",
        mask="m.png",
        quick=True,
        lens="brown",
        deform_region="",
        match_skin=False,
    )
    assert run("x", *typed.split(), "--last") == ("x True", made)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("--focal-px 0", "The option “--focal-px” must be a number of pixels above 0, not 0.0."),
        ("--deform elbow", "The option “--deform” must be auto, none, nose or face, not 'elbow'."),
        ("--lens fisheye", "The option “--lens” must be pinhole or brown, not 'fisheye'."),
    ],
)
def test_a_wrong_value_is_a_sentence_that_names_the_option_as_typed(typed, sentence):
    with pytest.raises(UserError) as caught:
        run("x", *typed.split())
    assert (caught.value.code, caught.value.message) == ("bad_option", sentence)


def test_bounds_are_typers_own():
    app = typer.Typer()

    @app.command()
    @with_options
    def command(options: MoreOptions) -> None:
        """Do nothing."""

    codes = [CliRunner().invoke(app, ["--smooth", value]).exit_code for value in ("10", "10.5", "-1")]
    assert codes == [0, 2, 2]

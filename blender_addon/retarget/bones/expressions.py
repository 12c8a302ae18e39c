"""Driver expressions for turns and sums, of what Blender evaluates by itself: no Python, no permission to run scripts.

A turn is written by its Gibbs vector (tan of half the angle, times the axis): (1, Gibbs vector) is its quaternion,
which Blender makes a unit one. Texts are over variables ff0, ff1, …; "0" stands for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

LONGEST = 255
"""Characters of an expression that Blender keeps."""
_SHORTEST = 3
_DIGITS = (7, 5, 4, _SHORTEST)
"""Significant digits of numbers: single precision has 7; fewer where an expression is too long.

With the fewest a sum has whole numbers up to 999 and one factor: each term is within a thousandth of the largest.
"""
_NOTHING = 1e-7
"""A coefficient that is smaller than this moves nothing that one sees: metres and radians."""
_EVEN = ("XYZ", "YZX", "ZXY")

Build = Callable[[int], Sequence[str]]
"""Writes expressions with so many significant digits."""


class TooLongError(Exception):
    """No expression that Blender keeps holds it."""


def first_fitting(*builds: Build) -> Sequence[str]:
    """The expressions of the first builder that keeps them all short enough, with as many digits as fit.

    Raises:
        TooLongError: none does.
    """
    for build in builds:
        for digits in _DIGITS:
            texts = build(digits)
            if max(map(len, texts)) <= LONGEST:
                return texts
    raise TooLongError


def linear(terms: Iterable[tuple[float, str]], digits: int) -> str:
    """Σ factor · text; a text "1" is the constant's, and texts of more than one term are in parentheses already."""
    summed: dict[str, float] = {}
    for factor, text in terms:
        if text != "0":
            summed[text] = summed.get(text, 0.0) + factor
    largest = max(map(abs, summed.values()), default=0.0)
    if digits == _SHORTEST and len(summed) > 3 and largest >= _NOTHING:
        unit = largest / 999
        whole = [(float(round(factor / unit)), text) for text, factor in summed.items()]
        return f"{unit:.7g}*({linear(whole, 7)})"
    out = ""
    for text, factor in summed.items():
        if abs(factor) < _NOTHING:
            continue
        size = f"{abs(factor):.{digits}g}"
        sign = "-" if factor < 0 else "+" if out else ""
        out += sign + (size if text == "1" else text if size == "1" else f"{size}*{text}")
    return out or "0"


def grouped(text: str) -> str:
    """A text that can be a factor, or be negated."""
    return text if text.isalnum() or (text.endswith(")") and _closes_last(text)) else f"({text})"


def _closes_last(text: str) -> bool:
    """True where the text is one call or one pair of parentheses."""
    depth = 0
    for place, letter in enumerate(text):
        if letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
            if depth == 0:
                return place == len(text) - 1
        elif depth == 0 and not letter.isalnum():
            return False
    return False


def _product(*factors: str) -> str:
    return "0" if "0" in factors else "*".join(grouped(factor) for factor in factors)


def rotation(mode: str, gibbs: Sequence[str], digits: int) -> list[str]:
    """The values of a rotation property, in a rotation mode, of the turn with this Gibbs vector (three texts)."""
    squares = [f"pow({text},2)" for text in gibbs if text != "0"]
    if mode == "QUATERNION":
        return ["1", *gibbs]
    if mode == "AXIS_ANGLE":
        return [f"2*atan(sqrt({'+'.join(squares)}))" if squares else "0", *gibbs]
    if len(squares) <= 1:
        return ["0" if text == "0" else f"2*atan({text})" for text in gibbs]
    order = ["XYZ".index(axis) for axis in mode]
    first, second, third = (gibbs[axis] for axis in order)
    sign = 1.0 if mode in _EVEN else -1.0

    def total(*terms: tuple[float, str]) -> str:
        return linear([(factor, grouped(text) if text != "1" else text) for factor, text in terms], digits)

    def square(text: str) -> str:
        return "0" if text == "0" else f"pow({text},2)"

    across = total((2 * sign, second), (-2, _product(first, third)))
    norm = total((1, "1"), *((1, text) for text in squares))
    turns = (
        _atan2(
            total((2 * sign, first), (2, _product(second, third))),
            total((1, "1"), (-1, square(first)), (-1, square(second)), (1, square(third))),
        ),
        "0" if across == "0" else f"asin(({across})/({norm}))",
        _atan2(
            total((2 * sign, third), (2, _product(first, second))),
            total((1, "1"), (1, square(first)), (-1, square(second)), (-1, square(third))),
        ),
    )
    out = ["0", "0", "0"]
    for axis, text in zip(order, turns, strict=True):
        out[axis] = text if sign > 0 or text == "0" else f"-{text}"
    return out


def _atan2(up: str, along: str) -> str:
    return "0" if up == "0" else f"atan2({up},{along})"


def small_euler(mode: str, vector: Sequence[str], digits: int) -> list[str]:
    """Euler angles in an order, of the turn with this rotation vector (three texts), to the second order of its angle.

    Beyond it is a twelfth of the angle's third power: 0.1° where a jaw opens by 20° while it is 8° aside.
    """
    order = ["XYZ".index(axis) for axis in mode]
    first, second, third = (vector[axis] for axis in order)
    sign = 0.5 if mode in _EVEN else -0.5
    out = ["0", "0", "0"]
    others = ((second, third, sign), (first, third, -sign), (first, second, sign))
    for axis, (left, right, factor) in zip(order, others, strict=True):
        out[axis] = linear(
            [(1, grouped(vector[axis]) if vector[axis] != "0" else "0"), (factor, _product(left, right))], digits
        )
    return out


def turned_by(vector: Build, mode: str) -> Sequence[Build]:
    """Builders of a rotation property's values for a rotation vector, whose three texts ``vector`` writes; best first.

    The tangent of half an angle x is x / (2 − x²/6 − x⁴/360 …): off by 0.001° at 30° with the last term, 0.01° without.
    """

    def parts(digits: int) -> tuple[Sequence[str], str]:
        texts = vector(digits)
        return texts, "+".join(f"pow({text},2)" for text in texts if text != "0")

    def angle_and_axis(digits: int) -> list[str]:
        texts, squared = parts(digits)
        return [f"sqrt({squared})", *texts]

    def gibbs(digits: int, below: Callable[[str], str]) -> list[str]:
        texts, squared = parts(digits)
        return rotation(mode, ["0" if t == "0" else f"{grouped(t)}/({below(squared)})" for t in texts], digits)

    if mode == "AXIS_ANGLE":
        return [angle_and_axis]
    builds: list[Build] = [
        lambda digits: gibbs(digits, lambda squared: f"2-({squared})/6-pow({squared},2)/360"),
        lambda digits: gibbs(digits, lambda squared: f"2-({squared})/6"),
    ]
    return builds if mode == "QUATERNION" else [*builds, lambda digits: small_euler(mode, vector(digits), digits)]

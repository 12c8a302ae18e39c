"""The command that ``bootstrap.py test --cuda`` runs: exit status 0 where all is as it should be, else 1."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(prog="bootstrap.py test --cuda", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, or cpu: a rehearsal at small sizes")
    parser.add_argument("--out", type=Path, default=Path("flowface-cuda.json"), help="the JSON to write")
    told = parser.parse_args(arguments)
    try:
        from backend.errors import UserError
        from backend.timing.gpu.run import run_gpu_checks
    except ImportError as error:
        print(f"flowface: This Python lacks what is checked ({error}); leave --here out.", file=sys.stderr)
        return 1
    try:
        record = run_gpu_checks(told.out, told.device, say=_say)
    except UserError as error:
        print(f"flowface: {error.message} {error.hint}".rstrip(), file=sys.stderr)
        return 1
    ending = record["verdict"]
    _say(f"{'passed' if ending['passed'] else 'FAILED'}: {ending['sentence']} ({record['seconds']} s; {told.out})")
    return 0 if ending["passed"] else 1


def _say(text: str) -> None:
    print(text.encode(sys.stdout.encoding or "ascii", "replace").decode(sys.stdout.encoding or "ascii"), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

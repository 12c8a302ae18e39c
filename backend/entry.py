"""What the installed ``flowface`` runs: the command line, and words instead of a traceback while it still loads."""

from __future__ import annotations

import sys


def main() -> None:
    """``cli.main``; Ctrl-C ends it as quietly before it has loaded, and a package that is missing is named."""
    try:
        from backend.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    except ImportError as error:
        print(f"flowface: FlowFace's packages are not whole: {error}.", file=sys.stderr)
        print("  Install FlowFace again.", file=sys.stderr)
        sys.exit(1)
    run()


if __name__ == "__main__":
    main()

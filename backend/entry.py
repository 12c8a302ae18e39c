"""What the installed ``flowface`` runs: the command line, and words instead of a traceback while it still loads."""

from __future__ import annotations

import sys

from backend.openblas import choose_kernels, let_threads_sleep

LIVE = (["live"], ["benchmark", "live"])
"""Commands that multiply many small matrices beside Blender. With OpenBLAS's threads, which spin after each product, a
pose takes 67 ms of CPU instead of 42 (medians of 20 turns in one run, two busy cores), and is no earlier."""


def main() -> None:
    """``cli.main``; Ctrl-C ends it as quietly before it has loaded, and a package that is missing is named."""
    choose_kernels()
    if any(sys.argv[1 : 1 + len(words)] == words for words in LIVE):
        let_threads_sleep()
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

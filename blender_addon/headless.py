"""``python -m blender_addon.headless``: fetch a finished job's take and save its scene as a .blend, without a window.

Uses the add-on's own client and scene code under ``import bpy``. Exit code 0 and a file, or 2 and one sentence on
standard error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .codes import ClientCode

ANSWER_SECONDS = 60.0


def save_scene(endpoint: str, job: str, out: Path) -> None:
    """Build the take of ``job`` from the backend at ``endpoint`` in an empty file and save it as ``out``.

    Raises:
        client.RequestFailed: the backend does not answer, or has no such result.
        ValueError: the endpoint is not an address.
        OSError, RuntimeError: Blender cannot save the file.
    """
    import bpy

    from .client import Client, RequestFailed, ask
    from .scene.build import build_take, look_through_camera
    from .scene.footage import name_from_file, with_proxies_beside
    from .scene.ownership import JOB_KEY
    from .vendor import messages as m

    client = Client(endpoint, name="scene writer")
    try:
        client.start()
        reply = ask(client, m.Result(job), timeout=ANSWER_SECONDS)
    finally:
        client.close()
    if not isinstance(reply, m.ResultReply) or reply.take is None:
        raise RequestFailed(
            m.Error(ClientCode.NO_TAKE, f"The job {job} has no take from which a scene could be built.")
        )
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0  # no .blend1 beside the result
    take = with_proxies_beside(reply.take, out.absolute().parent)
    build_take(bpy.context, take)[JOB_KEY] = job
    scene = bpy.context.scene
    scene.frame_set(scene.frame_start)
    look_through_camera(bpy.data.screens)
    out.parent.mkdir(parents=True, exist_ok=True)
    save = {"filepath": str(out.absolute()), "check_existing": False, "compress": True, "relative_remap": False}
    bpy.ops.wm.save_as_mainfile(**save)
    if name_from_file(take):
        bpy.ops.wm.save_as_mainfile(**save)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m blender_addon.headless", description=__doc__)
    parser.add_argument("--endpoint", required=True, help="address of the backend, such as tcp://127.0.0.1:5793")
    parser.add_argument("--job", required=True, help="id of a finished job")
    parser.add_argument("--out", required=True, type=Path, help=".blend file to write")
    options = parser.parse_args(arguments)
    try:
        from .client import RequestFailed
    except ImportError as error:
        print(f"The scene cannot be written because {error.name} is not installed.", file=sys.stderr)
        return 2
    try:
        save_scene(options.endpoint, options.job, options.out)
    except ImportError as error:
        print(f"The scene cannot be written because {error.name} is not installed.", file=sys.stderr)
    except RequestFailed as failure:
        print(failure, file=sys.stderr)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"The scene cannot be written to {options.out}: {' '.join(str(error).split())}", file=sys.stderr)
    else:
        return 0
    return 2


if __name__ == "__main__":
    sys.exit(main())

"""``python -m blender_addon.headless``: save the scene of a finished job's take as a .blend, without a window.

With ``--export`` its head is written as a format of ``retarget.exchange`` instead, with the cameras where it has any.

The result is fetched from a backend, or comes in a file. Uses the add-on's own client and scene code under
``import bpy``, or in Blender's own Python, where a result in a file needs no sockets. Exit code 0 and a file, or 2 and
one sentence on standard error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .vendor import codec
from .vendor import messages as m

ANSWER_SECONDS = 60.0


class CannotSave(Exception):  # noqa: N818 - its text is a sentence for the user
    """The reason for which there is no scene."""


def fetch_result(endpoint: str, job: str) -> m.Message:
    """The answer of the backend at ``endpoint`` to who asks for the result of ``job``.

    Raises:
        CannotSave: the backend does not answer, or has no such result, or pyzmq is missing.
        ValueError: the endpoint is not an address.
    """
    try:
        from .asking import RequestFailed, ask
        from .client import Client
    except ImportError as error:
        raise CannotSave(f"The scene cannot be written because {error.name} is not installed.") from error
    client = Client(endpoint, name="scene writer")
    try:
        client.start()
        return ask(client, m.Result(job), timeout=ANSWER_SECONDS)
    except RequestFailed as failure:
        raise CannotSave(str(failure)) from failure
    finally:
        client.close()


def read_result(path: Path) -> m.Message:
    """A result that ``codec.join`` has put into a file; raises OSError, CannotSave."""
    try:
        return m.unpack(codec.split(path.read_bytes()))[0]
    except codec.ProtocolError as error:
        raise CannotSave(f"The result {path} cannot be read: {error.message}") from error


def save_scene(reply: m.Message, out: Path) -> None:
    """Build the take of a result in an empty file and save it as ``out``.

    Raises:
        CannotSave: the result has no take.
        OSError, RuntimeError: Blender cannot save the file.
    """
    import bpy

    from .scene.build import look_through_camera
    from .scene.footage import name_from_file

    take, _ = _built(reply, out)
    look_through_camera(bpy.data.screens)
    out.parent.mkdir(parents=True, exist_ok=True)
    save = {"filepath": str(out.absolute()), "check_existing": False, "compress": True, "relative_remap": False}
    bpy.ops.wm.save_as_mainfile(**save)
    if name_from_file(take):
        bpy.ops.wm.save_as_mainfile(**save)


def export_head(reply: m.Message, out: Path, format: str) -> None:
    """Write the head of a result's take, as it moves on the scene's frames, to ``out``.

    The world is the take's, turned so that its y points up: without the height of the eyes that scenes begin with. A
    format of points has the cameras, too, where its exporter writes cameras.

    Raises:
        CannotSave: the result has no take, or this Blender lacks the exporter.
        OSError, RuntimeError: Blender cannot write the file.
    """
    import bpy
    import numpy as np

    from .retarget.exchange import baked_scene, exporters, parts, seen, stepping
    from .scene import axes, ownership, root

    _, collection = _built(reply, out)
    chosen = exporters.format_of(format)
    if not chosen.is_there():
        raise CannotSave(f"{chosen.missing}, to export {chosen.title}.")
    root.root_of(collection, 1.0).location = -axes.EYE_HEIGHT
    frames = np.array(stepping.range_of(bpy.context.scene), np.float64)
    out.parent.mkdir(parents=True, exist_ok=True)
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        context = bpy.context
        found = parts.parts_of(ownership.member(collection, ownership.HEAD), context.scene, context.view_layer)
        if chosen.of_points:
            cameras = [view.camera for view in ownership.shown_views(collection)]
            made = baked_scene.linked(context, [*found, *cameras], frames)
        else:
            looks = seen.on_frames(context, found, frames)
            made = baked_scene.baked(context, looks, frames, whole_rate=chosen.whole_rate)
        with made as scene:
            chosen.write(out.absolute(), scene)


def _built(reply: m.Message, out: Path) -> tuple[Any, Any]:
    """A result's take, whose proxies lie beside ``out``, and its collection in a new file on its first frame.

    Raises CannotSave where the result has no take.
    """
    import bpy

    from .scene.build import build_take
    from .scene.footage import with_proxies_beside

    if not isinstance(reply, m.ResultReply) or reply.take is None:
        raise CannotSave("The job has no take from which a scene could be built.")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0  # no .blend1 beside the result
    take = with_proxies_beside(reply.take, out.absolute().parent)
    collection = build_take(bpy.context, take, job=reply.job.job_id)
    scene = bpy.context.scene
    scene.frame_set(scene.frame_start)
    return take, collection


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m blender_addon.headless", description=__doc__)
    parser.add_argument("--endpoint", help="address of the backend, such as tcp://127.0.0.1:5793; needs --job")
    parser.add_argument("--job", default="", help="id of a finished job")
    parser.add_argument("--result", type=Path, help="file with a result, instead of --endpoint and --job")
    parser.add_argument("--out", required=True, type=Path, help="file to write, .blend without --export")
    parser.add_argument("--export", default="", help="write the head as this format: GLTF, FBX, USD or ALEMBIC")
    options = parser.parse_args(arguments)
    if (options.endpoint is None) == (options.result is None):
        parser.error("give either --endpoint and --job or --result")
    try:
        reply = read_result(options.result) if options.result else fetch_result(options.endpoint, options.job)
        if options.export:
            export_head(reply, options.out, options.export)
        else:
            save_scene(reply, options.out)
    except ImportError as error:
        print(f"The scene cannot be written because {error.name} is not installed.", file=sys.stderr)
    except CannotSave as failure:
        print(failure, file=sys.stderr)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"The scene cannot be written to {options.out}: {' '.join(str(error).split())}", file=sys.stderr)
    else:
        return 0
    return 2


if __name__ == "__main__":
    sys.exit(main())

"""Live Capture: start and stop a session, record, calibrate, and solve a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .. import building, job, preferences, session, settings, solve_options
from ..backend_places import CannotStart, Launch, find_launch
from ..live_capture import cameras, drivers, properties, running, takes_live
from ..live_capture.recording import NothingRecorded
from ..live_process import Capture, Source, options_of_live_link
from ..scene import takes
from ..scene.build import look_through_camera, main_camera
from ..scene.ownership import shown_views, takes_of
from ..vendor import codec, live
from ..vendor import messages as m
from .submitting import Submitting

REMOTE = (
    "The backend is on another machine, and cameras are on this one: install FlowFace here too, or name its folder as "
    "Backend in the add-on's preferences."
)


def launch_of(context: Any) -> Launch:
    """The way to start a live session on this machine.

    Raises:
        CannotStart: FlowFace is not here; says why.
    """
    wanted = preferences.get(context)
    try:
        return find_launch(bpy.path.abspath(wanted.environment))
    except CannotStart as problem:
        raise CannotStart(REMOTE if session.current().remote else str(problem)) from problem


def _source(chosen: Any) -> Source:
    """The source that a user chose; raises CannotStart with a sentence."""
    if chosen.source == properties.LIVE_LINK:
        options = options_of_live_link(chosen.port, network=chosen.network, subject=chosen.subject.strip())
        return Source(tuple(options), "Live Link Face", pictures=False)
    if chosen.source == properties.VIDEO:
        path = Path(bpy.path.abspath(chosen.video)).absolute()
        if not chosen.video or not path.is_file():
            raise CannotStart(f"There is no video at {path}." if chosen.video else "Choose the video first.")
        return _driven(chosen, ("--video", str(path)), path.name)
    name = chosen.camera.strip()
    return _driven(chosen, ("--camera", name), name or "the first camera")


def _driven(chosen: Any, options: tuple[str, ...], name: str) -> Source:
    """A source of pictures, which the chosen driver looks at where there is one."""
    if not chosen.driver:
        return Source(options, name)
    path = Path(bpy.path.abspath(chosen.driver)).absolute()
    if not path.is_file():
        raise CannotStart(f"There is no driver at {path}: learn it again, or empty the field to calibrate.")
    return Source((*options, "--driver", str(path)), name, calibrates=False)


def _capture() -> Capture | None:
    """The session that goes on."""
    capture = session.current().capture
    return capture if capture is not None and not capture.over else None


class FLOWFACE_OT_live_capture_start(bpy.types.Operator):  # type: ignore[misc]
    """Let what is chosen here drive a head, as a process of its own on this computer"""

    bl_idname = "flowface.live_capture_start"
    bl_label = "Start"

    @classmethod
    def poll(cls, _context: Any) -> bool:
        """One at a time."""
        if _capture() is not None:
            cls.poll_message_set("A live session goes on: stop it first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Start the session, or say why not."""
        chosen = properties.of(context.scene)
        log_file = preferences.user_folder() / "live.log"
        try:
            running.begin(Capture(launch_of(context), _source(chosen), log_file), building.home_of(context.scene))
        except CannotStart as problem:
            running.now.notice = session.Notice(str(problem), is_error=True)
            self.report({"WARNING"}, str(problem))
            return {"CANCELLED"}
        return {"FINISHED"}


class _WhileLive:
    """An operator for a session that goes on."""

    @classmethod
    def poll(cls, _context: Any) -> bool:
        """There must be one."""
        if _capture() is None:
            cls.poll_message_set("Start a live session first")  # type: ignore[attr-defined]
            return False
        return True


class FLOWFACE_OT_live_capture_stop(_WhileLive, bpy.types.Operator):  # type: ignore[misc]
    """End the live session: the camera is free, and the head has its keys again"""

    bl_idname = "flowface.live_capture_stop"
    bl_label = "Stop"

    def execute(self, _context: Any) -> set[str]:
        """Ask the session to end."""
        capture = _capture()
        if capture is None:
            return {"CANCELLED"}
        capture.end()
        return {"FINISHED"}


class FLOWFACE_OT_live_capture_record(_WhileLive, bpy.types.Operator):  # type: ignore[misc]
    """Record what drives the head, until pressed again: it is a new version of the take, with keys from the scene's \
first frame on"""

    bl_idname = "flowface.live_capture_record"
    bl_label = "Record"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """The head must be there, and live."""
        if not super().poll(context):
            return False
        capture = _capture()
        if capture is None or not capture.running or running.head_take() is None:
            cls.poll_message_set("Nothing drives a head yet")
            return False
        return True

    def execute(self, _context: Any) -> set[str]:
        """Begin, or end."""
        capture = _capture()
        if capture is None:
            return {"CANCELLED"}
        running.now.notice = None
        capture.ask(live.LiveVerb.STOP_RECORDING if capture.recording else live.LiveVerb.RECORD)
        return {"FINISHED"}


class FLOWFACE_OT_live_capture_calibrate(_WhileLive, bpy.types.Operator):  # type: ignore[misc]
    """Measure the face at rest anew: look into the camera with a relaxed face. Of Live Link Face the head's present \
direction becomes straight ahead"""

    bl_idname = "flowface.live_capture_calibrate"
    bl_label = "Calibrate"

    def execute(self, _context: Any) -> set[str]:
        """Ask the session for it."""
        capture = _capture()
        if capture is None:
            return {"CANCELLED"}
        capture.ask(live.LiveVerb.CALIBRATE)
        return {"FINISHED"}


class FLOWFACE_OT_live_capture_cameras(bpy.types.Operator):  # type: ignore[misc]
    """Look for the cameras of this computer"""

    bl_idname = "flowface.live_capture_cameras"
    bl_label = "Find Cameras"

    def execute(self, context: Any) -> set[str]:
        """Ask in the background; the names are suggested in the field beside this button."""
        try:
            cameras.look(launch_of(context))
        except CannotStart as problem:
            self.report({"WARNING"}, str(problem))
            return {"CANCELLED"}
        return {"FINISHED"}


class FLOWFACE_OT_learn_driver(bpy.types.Operator):  # type: ignore[misc]
    """Learn the driver of the person in the take that is shown, by minutes of work in the background: a small \
network that tells this one face from a picture, without calibrating"""

    bl_idname = "flowface.learn_driver"
    bl_label = "Learn Driver"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a take that this machine's backend tracked, and no driver on its way."""
        busy = "A driver is being learnt" if drivers.current() is not None else ""
        reason = busy or drivers.why_not(takes.shown_take(context))
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def execute(self, context: Any) -> set[str]:
        """Begin; everything else happens while Blender goes on."""
        try:
            drivers.learn(context, launch_of(context), takes.shown_take(context), preferences.user_folder())
        except CannotStart as problem:
            running.now.notice = session.Notice(str(problem), is_error=True)
            self.report({"WARNING"}, str(problem))
            return {"CANCELLED"}
        return {"FINISHED"}


class FLOWFACE_OT_cancel_driver(bpy.types.Operator):  # type: ignore[misc]
    """Learn no driver; what was looked at so far is kept for the next time"""

    bl_idname = "flowface.cancel_driver"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    def execute(self, _context: Any) -> set[str]:
        """Ask it to end."""
        learning = drivers.current()
        if learning is None:
            return {"CANCELLED"}
        learning.cancel()
        return {"FINISHED"}


class FLOWFACE_OT_live_capture_build(bpy.types.Operator):  # type: ignore[misc]
    """Build the head that a live session drives"""

    bl_idname = "flowface.live_capture_build"
    bl_label = "FlowFace Live Head"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Bones can only be made in Object Mode."""
        return running.now.to_build and running.now.take is not None and context.mode == "OBJECT"

    def execute(self, context: Any) -> set[str]:
        """Find it in the scene, or build it."""
        now, capture = running.now, session.current().capture
        if now.take is None or capture is None:
            return {"CANCELLED"}
        running.step_aside()
        first, scene = not takes_of(context.scene), context.scene
        built = takes_live.settle(context, now.take, capture.source.name, takes.shown_take(context))
        now.to_build, now.collection = False, built.session_uid
        settings.of(scene).take = built
        if first and settings.of(scene).match_scene and main_camera(built) is not None:
            render, width, height = scene.render, *now.take.cameras[0].image_size
            scene.camera = main_camera(built)
            render.resolution_x, render.resolution_y = width, height
            look_through_camera([context.screen] if context.screen is not None else [])
        return {"FINISHED"}


class FLOWFACE_OT_live_capture_keep(bpy.types.Operator):  # type: ignore[misc]
    """Make a live recording a version of its take"""

    bl_idname = "flowface.live_capture_keep"
    bl_label = "FlowFace Live Recording"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be one, and bones can only be placed in Object Mode."""
        return bool(running.now.to_keep) and context.mode == "OBJECT"

    def execute(self, context: Any) -> set[str]:
        """Write its keys."""
        now, collection = running.now, running.head_take()
        if collection is None or now.take is None:
            running.put_aside(running.NO_HEAD)
            return {"CANCELLED"}
        recorded = now.to_keep.pop(0)
        running.step_aside()
        try:
            version = takes_live.keep(context, collection, now.take, recorded)
        except NothingRecorded as problem:
            now.notice = session.Notice(str(problem), is_error=True)
            return {"CANCELLED"}
        scene = context.scene
        if settings.of(scene).match_scene and takes_of(scene) == [collection]:
            scene.frame_end = max(scene.frame_end, takes_live.last_frame(collection))
        now.notice = session.Notice(f"{version.notes} This is {version.name.lower()} of “{collection.name}”.")
        return {"FINISHED"}


class FLOWFACE_OT_live_capture_solve(Submitting, bpy.types.Operator):  # type: ignore[misc]
    """Track the footage of the recording that is shown, with everything that a live session has no time for; the \
result is a version of the same take"""

    bl_idname = "flowface.live_capture_solve"
    bl_label = "Solve Recording"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """The version that is shown must be a recording with pictures."""
        why = takes_live.cannot_solve(takes.shown_take(context))
        if why:
            cls.poll_message_set(why)
        return not why

    def execute(self, context: Any) -> set[str]:
        """Submit it as an ordinary take to be tracked."""
        take = takes.shown_take(context)
        path = takes_live.footage_of(take)
        if not Path(path).is_file():
            return self.refuse(f"The pictures of this recording are gone: there is no file {path}.")
        chosen = settings.of(context.scene)
        try:
            spec = m.TrackJob(
                views=(m.ViewSpec(path, shown_views(take)[0].name),),  # the take's own camera
                name=Path(path).stem[:200],
                head=chosen.head_id,
                aligner=chosen.aligner_id,
                options=solve_options.read(m.SolveOptions, chosen),
            )
        except (codec.ProtocolError, job.CannotTrack) as problem:
            return self.refuse(str(problem))
        done = self.submit(context, spec, "solved", match_scene=False)
        if "FINISHED" in done:
            takes_live.belongs_to(take, spec.name, path)
        return done


CLASSES = (
    FLOWFACE_OT_live_capture_start,
    FLOWFACE_OT_live_capture_stop,
    FLOWFACE_OT_live_capture_record,
    FLOWFACE_OT_live_capture_calibrate,
    FLOWFACE_OT_live_capture_cameras,
    FLOWFACE_OT_live_capture_build,
    FLOWFACE_OT_live_capture_keep,
    FLOWFACE_OT_live_capture_solve,
    FLOWFACE_OT_learn_driver,
    FLOWFACE_OT_cancel_driver,
)

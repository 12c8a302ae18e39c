"""From what a user set to a job: checked here as far as Blender can tell, so that a mistake is told at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy

from . import neutral, preferences, settings, solve_options
from .scene import known_cameras
from .vendor import codec
from .vendor import messages as m

PATTERN_SIGNS = "#%*?"


class CannotTrack(Exception):  # noqa: N818 - its text is a sentence for the user
    """The reason for which there is nothing to track."""


def job_of(context: Any) -> tuple[m.TrackJob, known_cameras.KnownCameras | None]:
    """The job of the context's scene, and what it knows of the scene's cameras.

    Raises:
        CannotTrack: something is missing or contradicts itself; one sentence says what.
    """
    chosen = settings.of(context.scene)
    if chosen.use_range and chosen.frame_first > chosen.frame_last:
        raise CannotTrack(f"The frame range {chosen.frame_first}-{chosen.frame_last} ends before it starts.")
    if chosen.use_neutral_frames and chosen.neutral_first > chosen.neutral_last:
        raise CannotTrack(
            f"The range of neutral frames {chosen.neutral_first}-{chosen.neutral_last} ends before it starts."
        )
    main = _existing(chosen.footage, "footage")
    try:
        views, known = _views(context, chosen, main)
        spec = m.TrackJob(
            views=views,
            name=main.stem[:200],  # the longest that a name may be
            frames=(chosen.frame_first, chosen.frame_last) if chosen.use_range else None,
            head=chosen.head_id,
            aligner=chosen.aligner_id,
            face=_face(chosen),
            faces=_further_faces(chosen),
            all_faces=chosen.all_faces and not len(chosen.views),
            options=solve_options.read(m.SolveOptions, chosen),
            metric_cameras=_to_scale(chosen, known),
            neutral_from=_neutral(context, chosen),
            neutral_frames=(chosen.neutral_first, chosen.neutral_last) if chosen.use_neutral_frames else None,
        )
    except (codec.ProtocolError, known_cameras.CannotUse) as problem:
        raise CannotTrack(str(problem)) from problem
    if not known:
        return spec, None
    return spec, known_cameras.KnownCameras(
        tuple(known), known_cameras.metres_per_unit(context.scene), spec.metric_cameras
    )


def photographs_job(context: Any, paths: Sequence[Path]) -> m.PhotographsJob:
    """The job that makes a head of these photographs, with the head, aligner and options that the scene has chosen.

    Raises:
        CannotTrack: there are none or too many, or one is not there; one sentence says what.
    """
    chosen = settings.of(context.scene)
    if not paths:
        raise CannotTrack("Choose the photographs: one to ten of one person.")
    stills = [_existing(str(path), "photograph") for path in paths]
    stems = [path.stem[:180] for path in stills]
    names = [f"{stem} {stems[:n].count(stem) + 1}" if stem in stems[:n] else stem for n, stem in enumerate(stems)]
    try:
        return m.PhotographsJob(
            views=tuple(m.ViewSpec(str(path), name) for path, name in zip(stills, names, strict=True)),
            name=stems[0],
            head=chosen.head_id,
            aligner=chosen.aligner_id,
            options=solve_options.read(m.SolveOptions, chosen),
        )
    except codec.ProtocolError as problem:
        raise CannotTrack(str(problem)) from problem


def _neutral(context: Any, chosen: Any) -> str:
    """The file that holds the person's neutral face, or a predictor's name; "" where none was chosen."""
    head = chosen.neutral_head
    if head is None and chosen.neutral_from in m.NEUTRAL_PREDICTORS:
        return str(chosen.neutral_from)
    if head is None:
        return str(_existing(chosen.neutral_from, "neutral face")) if chosen.neutral_from else ""
    if head.name not in context.scene.objects:
        raise CannotTrack(f"The neutral head “{head.name}” is no longer in this scene: choose another, or none.")
    try:
        return str(neutral.write_neutral(head, preferences.user_folder() / "neutral"))
    except OSError as error:
        raise CannotTrack(f"The neutral head cannot be handed over: {error.strerror}.") from error


def _to_scale(chosen: Any, known: list[known_cameras.KnownView]) -> bool:
    """One camera has no distance to another that could be out of scale, and the panel does not ask."""
    return chosen.cameras_to_scale or len(known) < 2


def _views(context: Any, chosen: Any, main: Path) -> tuple[tuple[m.ViewSpec, ...], list[known_cameras.KnownView]]:
    rows = [(settings.MAIN_VIEW, main, chosen)]
    for view in chosen.views:
        if not view.footage:
            raise CannotTrack(f"The view “{view.name}” has no footage: choose one, or remove the view.")
        rows.append((view.name, _existing(view.footage, f"footage of “{view.name}”"), view))
    names = [name for name, _, _ in rows]
    twice = next((name for name in names if names.count(name) > 1 or not name), None)
    if twice is not None:
        raise CannotTrack(f"Two views are called “{twice}”: rename one." if twice else "A view has no name.")
    views, known = [], []
    for name, path, row in rows:
        camera = None
        if chosen.cameras == "SCENE" and row.camera is not None:
            camera, pose = known_cameras.read_camera(context, row.camera, path)
            known.append(known_cameras.KnownView(name, row.camera.name, pose))
        views.append(
            m.ViewSpec(
                str(path),
                name,
                offset=row.offset if row is not chosen else 0.0,
                frame_rate=row.frame_rate if row.use_frame_rate else None,
                camera=camera,
                face=_face(row) if row is not chosen and row.face == "POINT" else None,
                # A scene camera knows its lens; what is typed beside it stays for when none is chosen.
                focal_mm=row.focal_mm if row.use_focal_mm and camera is None else None,
                sensor_mm=row.sensor_mm if row.use_focal_mm and camera is None else None,
            )
        )
    if chosen.cameras == "SCENE" and not known:
        raise CannotTrack("Choose the scene's camera that filmed the footage, or let the cameras be solved.")
    return tuple(views), known


def _existing(path: str, what: str) -> Path:
    absolute = Path(bpy.path.abspath(path)).absolute()
    if not absolute.exists() and not any(sign in absolute.name for sign in PATTERN_SIGNS):
        raise CannotTrack(f"There is no {what} at {absolute}.")
    return absolute


def _further_faces(chosen: Any) -> tuple[m.FaceChoice, ...]:
    """The faces of the main footage that were picked besides the first; with further views there can be none."""
    if chosen.face == "LARGEST" or chosen.all_faces or len(chosen.views):
        return ()
    return tuple(_at_point(row) for row in chosen.faces)


def _face(row: Any) -> m.FaceChoice:
    """The face choice of the main footage or of a further view."""
    if row.face == "LARGEST":
        return m.FaceChoice()
    return _at_point(row)


def _at_point(row: Any) -> m.FaceChoice:
    x, y = row.face_point
    return m.FaceChoice("point", point=(float(x), float(y)), frame=row.face_frame)

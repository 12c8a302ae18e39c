"""A job tracked in Blender whose backend is killed in the middle: the panel says so, it goes on and is built.

Arguments: zip, an address, footage, a program that stands for the backend's (test_window.py starts the real one out
there and kills it), a folder in which files tell out there what is to be done, where the header of the list of jobs is
(x, y).
"""

from __future__ import annotations

from pathlib import Path

import bgui
import bpy
from common import EXTENSION, addon, install, show_panel, show_sidebar, viewport, wait_for

package, endpoint, footage, program, folder, header_x, header_y = bgui.args
seen = []


def session():
    return addon("session").current()


def runs() -> bool:
    now, job = session(), session().job
    connected = now.connection is addon("client").Connection.CONNECTED
    return connected and job is not None and job.status is not None and job.status.fraction > 0


def begin() -> None:
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    install(package, endpoint)
    wanted = bpy.context.preferences.addons[EXTENSION].preferences
    wanted.environment, wanted.autostart, wanted.keep_gb, wanted.keep_days = program, True, 20.0, 30
    show_sidebar()
    bgui.after(1.0, lambda: (show_panel(), bgui.after(1.0, track)))


def track() -> None:
    window, area, _ = viewport()
    window.scene.flowface.footage = footage
    main = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=main):
        bpy.ops.flowface.track()
    bgui.move(int(header_x), int(header_y))
    bgui.after(0.5, lambda: (bgui.click(header_x, header_y), wait_for(runs, lambda: look("1-runs", kill))))


def look(name: str, then) -> None:
    viewport()[2].tag_redraw()
    print(f"{name}: {session().away if session().job and not runs() else ''}")
    bgui.after(0.6, lambda: (bgui.shot(name), then()))


def kill() -> None:
    seen.append(session().job.job_id)
    (Path(folder) / "kill").touch()
    wait_for(lambda: session().coming_back, lambda: look("2-stopped", unfold), every=0.02)


def unfold() -> None:
    goes_on = lambda: runs() and session().job.status.attempts == 2  # noqa: E731
    wait_for(goes_on, lambda: (unfold_job(), look("3-goes-on", proceed)))


def unfold_job() -> None:
    session().jobs.unfolded = session().job.job_id


def proceed() -> None:
    seen.append(session().job.job_id)
    (Path(folder) / "proceed").touch()
    wait_for(lambda: session().job is None, lambda: look("4-built", end))


def end() -> None:
    print(f"one job: {len(set(seen)) == 1 and len(session().jobs.jobs) == 1}")
    print(f"notice: {session().notice.text}")
    bgui.done(0)


begin()

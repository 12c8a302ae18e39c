"""Everything that goes wrong, as the panel shows it: no backend, missing footage, footage without a face, cancelling.

Arguments: zip, an endpoint where nobody listens, a test backend's endpoint, folder of the footage, where the Cancel
button is (x, y). Prints the notice after each; the caller judges them.
"""

from __future__ import annotations

from collections.abc import Callable

import bgui
import bpy
from common import EXTENSION, addon, install, show_panel, show_sidebar, viewport, wait_for

package, nowhere, endpoint, folder, cancel_x, cancel_y = bgui.args


def session():
    return addon("session").current()


def tell(name: str, then: Callable[[], None]) -> None:
    viewport()[2].tag_redraw()
    print(f"{name}: {session().notice.text}")
    bgui.after(1.0, lambda: (bgui.shot(f"problem-{name}"), then()))


def press_track(footage: str) -> None:
    window = viewport()[0]
    window.scene.flowface.footage = footage
    with bpy.context.temp_override(window=window):
        bpy.ops.flowface.track()


def begin() -> None:
    install(package, nowhere)
    show_sidebar()
    bgui.after(1.0, lambda: (show_panel(), bgui.after(1.0, not_running)))


def not_running() -> None:
    press_track(f"{folder}/user-error.mp4")
    tell("not-running", missing)


def missing() -> None:
    press_track(f"{folder}/nothing.mp4")
    tell("missing-file", connect)


def connect() -> None:
    bpy.context.preferences.addons[EXTENSION].preferences.endpoint = endpoint
    connected = addon("client").Connection.CONNECTED
    wait_for(lambda: session().connection is connected, failing, seconds=20)


def failing() -> None:
    press_track(f"{folder}/user-error.mp4")
    wait_for(lambda: session().job is None, lambda: tell("failed-job", cancelling))


def cancelling() -> None:
    press_track(f"{folder}/until-cancelled.mp4")
    wait_for(lambda: session().job.fraction == 0.5, lambda: bgui.after(1.0, click_cancel))


def click_cancel() -> None:
    bgui.shot("problem-before-cancel")
    bgui.click(int(cancel_x), int(cancel_y))
    wait_for(lambda: session().job is None, lambda: tell("cancelled", lambda: bgui.done(0)), seconds=10)


begin()

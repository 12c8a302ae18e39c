"""Everything that Blender is told about on enabling, and forgets on disabling."""

from __future__ import annotations

from typing import Any

import bpy

from . import (
    action_slots,
    correction_drawing,
    correction_properties,
    draw_in_timeline,
    draw_over_footage,
    iris,
    live,
    live_pump,
    preferences,
    pump,
    session,
    settings,
    take_properties,
)
from .live_capture import drivers as live_drivers
from .live_capture import properties as live_capture_properties
from .live_capture import running as live_running
from .operators import (
    add_sound,
    backend_start,
    backend_stop,
    build_take,
    cancel,
    check,
    curves,
    export,
    export_character,
    export_live_link,
    footage_pick,
    head_from_photographs,
    heads_refresh,
    held_keys,
    import_live_link,
    jobs,
    live_capture,
    live_recordings,
    look_through,
    mark_neutral,
    masks,
    next_low_confidence,
    open_preferences,
    own_key,
    pick_face,
    pins,
    refine,
    retarget_add,
    retarget_bake,
    retarget_calibrate,
    retarget_eyes,
    retarget_links,
    retarget_live,
    retarget_mapping_file,
    retarget_match,
    retarget_playblast,
    retarget_pose,
    retarget_preview,
    retarget_remove,
    retarget_transfer,
    take_compare,
    take_delete,
    take_duplicate,
    take_head_motion,
    take_match_scene,
    take_show,
    take_version,
    track,
    use_weights,
    use_wrinkles,
    view_add,
    view_remove,
    worst_frame,
)
from .panels import correct as panel_correct
from .panels import curves as panel_curves
from .panels import jobs as panel_jobs
from .panels import live_capture as panel_live_capture
from .panels import main as panel
from .panels import retarget as panel_retarget
from .panels import retarget_bones as panel_retarget_bones
from .panels import retarget_calibrate as panel_retarget_calibrate
from .panels import retarget_mapping as panel_retarget_mapping
from .panels import retarget_out as panel_retarget_out
from .panels import retarget_preview as panel_retarget_preview
from .panels import retarget_transfer as panel_retarget_transfer
from .panels import see as panel_see
from .panels import take as panel_take
from .panels import takes as panel_takes
from .panels import views as panel_views
from .retarget import following
from .retarget import properties as retarget_properties
from .retarget.preview import in_step
from .scene import error_on_head

OPERATORS = (
    *(track, head_from_photographs, cancel, backend_start, backend_stop, heads_refresh, use_weights),
    *(build_take, view_add, view_remove, pick_face, look_through, mark_neutral),
    *(next_low_confidence, worst_frame, add_sound, export, jobs, footage_pick, open_preferences, own_key, check),
    *(take_show, take_duplicate, take_delete, take_version, take_match_scene),
    *(take_head_motion, take_compare, use_wrinkles, curves),
    *(pins, masks, held_keys, refine),
    live_capture,
    live_recordings,
    retarget_add,
    retarget_remove,
    retarget_transfer,
    retarget_match,
    retarget_mapping_file,
    retarget_links,
    retarget_live,
    retarget_bake,
    retarget_pose,
    retarget_eyes,
    retarget_calibrate,
    retarget_preview,
    retarget_playblast,
    export_live_link,
    import_live_link,
    export_character,
)
CLASSES = tuple(
    cls
    for module in (
        settings,
        preferences,
        correction_properties,
        retarget_properties,
        live_capture_properties,
        *OPERATORS,
        panel_views,
        panel,
        panel_live_capture,
        panel_takes,
        panel_take,
        panel_correct,
        panel_curves,
        panel_see,
        panel_retarget,
        panel_retarget_bones,
        panel_retarget_mapping,
        panel_retarget_calibrate,
        panel_retarget_preview,
        panel_retarget_transfer,
        panel_retarget_out,
        panel_jobs,
    )
    for cls in module.CLASSES
)
MENUS = {
    "TOPBAR_MT_file_import": (import_live_link.draw_in_menu,),
    "TOPBAR_MT_file_export": (export_live_link.draw_in_menu, export_character.draw_in_menu),
}
"""Entries of Blender's own menus."""
HANDLERS = {
    "load_post": pump.on_file_opened,
    "save_pre": pump.on_file_saving,
    "save_post": pump.on_file_saved,
    "save_post_fail": pump.on_file_not_saved,
}


def _more_handlers() -> list[tuple[str, Any]]:
    """Handlers of those that show something which undo and files are to know nothing of."""
    return [*live.HANDLERS.items(), *retarget_preview.HANDLERS.items(), *live_running.HANDLERS.items()]


def register() -> None:
    """Register all classes, the scene settings, the timer and the handlers."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    setattr(bpy.types.Scene, settings.NAME, bpy.props.PointerProperty(type=settings.FlowFaceSettings))
    setattr(bpy.types.Material, iris.NAME, iris.iris_property())
    for name, prop in take_properties.properties().items():
        setattr(bpy.types.Collection, name, prop)
    for name, handler in HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)
    for name, handler in _more_handlers():
        getattr(bpy.app.handlers, name).append(handler)
    following.start()
    setattr(bpy.types.Collection, correction_properties.NAME, correction_properties.corrections_property())
    setattr(bpy.types.Scene, retarget_properties.NAME, retarget_properties.retarget_property())
    setattr(bpy.types.Scene, live_capture_properties.NAME, live_capture_properties.pointer())
    for menu, entries in MENUS.items():
        for entry in entries:
            getattr(bpy.types, menu).append(entry)
    panel_retarget_transfer.show_in_menus()
    correction_drawing.watch()
    action_slots.watch()
    draw_over_footage.start()
    draw_in_timeline.start()
    error_on_head.start()
    bpy.app.timers.register(pump.tick, first_interval=0.5, persistent=True)
    bpy.app.timers.register(in_step.tick, first_interval=0.5, persistent=True)
    bpy.app.timers.register(live_pump.tick, first_interval=0.5, persistent=True)


def unregister() -> None:
    """Take everything back, and end the backend that the add-on started."""
    for tick in (pump.tick, in_step.tick, live_pump.tick):
        if bpy.app.timers.is_registered(tick):
            bpy.app.timers.unregister(tick)
    error_on_head.stop()
    draw_in_timeline.stop()
    draw_over_footage.stop()
    action_slots.forget()
    live.take_away()
    live_drivers.forget()
    live_running.forget()
    following.stop()
    for name, handler in _more_handlers():
        getattr(bpy.app.handlers, name).remove(handler)
    correction_drawing.forget()
    panel_retarget_transfer.hide_in_menus()
    for name, handler in HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
    for menu, entries in MENUS.items():
        for entry in entries:
            getattr(bpy.types, menu).remove(entry)
    session.end(finish=preferences.get(bpy.context).finish_jobs)
    delattr(bpy.types.Material, iris.NAME)
    for name in take_properties.properties():
        delattr(bpy.types.Collection, name)
    delattr(bpy.types.Collection, correction_properties.NAME)
    delattr(bpy.types.Scene, retarget_properties.NAME)
    delattr(bpy.types.Scene, live_capture_properties.NAME)
    delattr(bpy.types.Scene, settings.NAME)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)

"""Where the add-on's panels are: in the 3D viewport's sidebar."""

from __future__ import annotations


class InSidebar:
    """A panel of the add-on's own tab."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "FlowFace"


class InMainPanel(InSidebar):
    """A part of the main panel."""

    bl_parent_id = "FLOWFACE_PT_main"

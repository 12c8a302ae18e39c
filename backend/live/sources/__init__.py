"""Where live pictures come from: cameras by their names, and videos that play as if they were one."""

from backend.live.sources.cameras import Camera, cameras_here, find_camera
from backend.live.sources.newest import NewestPicture
from backend.live.sources.open_camera import open_camera
from backend.live.sources.played import play_video

__all__ = ["Camera", "NewestPicture", "cameras_here", "find_camera", "open_camera", "play_video"]

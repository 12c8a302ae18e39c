"""Draws a head with plain OpenGL, without a window, through a pinhole camera in OpenCV's convention."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError

MAX_SIDE = 8192
MAX_TRIANGLES = 4_000_000
SAMPLES = 4

_VERTEX_SHADER = """
#version 330
uniform mat4 clip_from_camera;
uniform mat4x3 camera_from_world;
in vec3 position;
in vec3 normal;
in vec3 color;
in vec2 uv;
out vec3 v_position;
out vec3 v_normal;
out vec3 v_color;
out vec2 v_uv;
void main() {
    vec3 camera = camera_from_world * vec4(position, 1.0);
    v_position = camera;
    v_normal = mat3(camera_from_world) * normal;
    v_color = color;
    v_uv = uv;
    gl_Position = clip_from_camera * vec4(camera, 1.0);
}
"""

_SHADED_FRAGMENT = """
#version 330
const int MAX_LIGHTS = 8;
uniform int light_count;
uniform vec3 light_direction[MAX_LIGHTS];
uniform vec3 light_color[MAX_LIGHTS];
uniform vec3 ambient;
uniform float gloss;
uniform bool textured;
uniform sampler2D image;
in vec3 v_position;
in vec3 v_normal;
in vec3 v_color;
in vec2 v_uv;
out vec4 fragment;
void main() {
    vec3 n = normalize(v_normal);
    vec3 view = normalize(-v_position);
    if (dot(n, view) < 0.0 && !gl_FrontFacing) n = -n;
    vec3 base = pow(textured ? texture(image, v_uv).rgb * v_color : v_color, vec3(2.2));
    vec3 light = ambient * (0.65 - 0.35 * n.y);
    vec3 shine = vec3(0.0);
    for (int i = 0; i < light_count; ++i) {
        float wrapped = max(0.0, (dot(n, light_direction[i]) + 0.25) / 1.25);
        light += light_color[i] * wrapped;
        float lobe = max(0.0, dot(n, normalize(light_direction[i] + view)));
        shine += light_color[i] * gloss * pow(lobe, 30.0);
    }
    fragment = vec4(pow(clamp(base * light + shine, 0.0, 1.0), vec3(1.0 / 2.2)), 1.0);
}
"""

_ID_FRAGMENT = """
#version 330
in vec3 v_position;
layout(location = 0) out int triangle;
layout(location = 1) out float depth;
void main() {
    triangle = gl_PrimitiveID;
    depth = v_position.z;
}
"""


@dataclass(frozen=True)
class Light:
    """A distant light: ``direction`` towards it in camera space (x right, y down, z forward), linear RGB ``color``."""

    direction: tuple[float, float, float]
    color: tuple[float, float, float]


DEFAULT_LIGHTS = (
    Light((-0.45, -0.55, -1.0), (0.80, 0.78, 0.75)),
    Light((0.80, -0.10, -0.7), (0.28, 0.29, 0.32)),
    Light((0.0, -0.9, 0.4), (0.18, 0.18, 0.18)),
)
DEFAULT_AMBIENT = (0.36, 0.35, 0.35)


@dataclass(frozen=True, eq=False)
class SurfaceBuffers:
    """The surface seen by each pixel: ``triangle (H,W)`` int32, -1 for none, ``depth (H,W)`` float32 metres."""

    triangle: NDArray[np.int32]
    depth: NDArray[np.float32]


class HeadRenderer:
    """An off-screen renderer of one image size; use it as a context manager or call ``close``.

    ``size`` is (width, height) in pixels. The camera follows DESIGN §3: camera space is OpenCV's (x right, y down, z
    forward), pixel (0,0) is the image's top-left corner and (0.5,0.5) the centre of its first pixel; a point projects
    to ``focal_px * (X/Z, Y/Z) + principal_point``.

    Raises ``UserError`` ``no_opengl`` where no context can be made and ``image_size`` for a size out of bounds.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        width, height = size
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
            raise UserError(
                ErrorCode.IMAGE_SIZE,
                f"Cannot draw an image of {width}×{height} pixels: each side must be 1 to {MAX_SIDE}.",
            )
        self.size = (int(width), int(height))
        self._gl = create_context()
        gl = self._gl
        self._shaded = gl.program(vertex_shader=_VERTEX_SHADER, fragment_shader=_SHADED_FRAGMENT)
        self._ids = gl.program(vertex_shader=_VERTEX_SHADER, fragment_shader=_ID_FRAGMENT)
        samples = min(SAMPLES, gl.max_samples)
        self._multisampled = gl.framebuffer(
            [gl.renderbuffer(self.size, 4, samples=samples)], gl.depth_renderbuffer(self.size, samples=samples)
        )
        self._resolved = gl.framebuffer([gl.renderbuffer(self.size, 4)])
        self._id_target = gl.framebuffer(
            [gl.texture(self.size, 1, dtype="i4"), gl.texture(self.size, 1, dtype="f4")],
            gl.depth_renderbuffer(self.size),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._gl.release()

    def render(
        self,
        vertices: NDArray[np.floating[Any]],
        triangles: NDArray[np.integer[Any]],
        colors: NDArray[np.floating[Any]] | None = None,
        *,
        focal_px: float,
        principal_point: tuple[float, float],
        world_to_camera: NDArray[np.floating[Any]],
        background: NDArray[np.uint8] | None = None,
        texture: NDArray[np.uint8] | None = None,
        corner_uv: NDArray[np.floating[Any]] | None = None,
        drawn: NDArray[np.bool_] | None = None,
        lights: Sequence[Light] = DEFAULT_LIGHTS,
        ambient: tuple[float, float, float] = DEFAULT_AMBIENT,
        gloss: float = 0.06,
    ) -> NDArray[np.uint8]:
        """Draw a mesh; returns RGB (H,W,3) uint8.

        ``vertices (V,3)`` metres in world space, ``triangles (F,3)``; the surface takes ``colors (V,3)`` sRGB in 0…1,
        or ``texture (h,w,3)`` uint8 through ``corner_uv (F,3,2)`` in [0,1] with v upwards, times ``colors`` where there
        are some. ``world_to_camera (3,4)``.
        ``background`` is an RGB uint8 image of the renderer's size; mid grey where absent. ``drawn (F,)`` is False for
        triangles to leave out, which still shape the shading of their neighbours.
        """
        program = self._shaded
        if colors is None and texture is not None:
            colors = np.ones((len(vertices), 3), np.float32)
        corners = _corner_arrays(vertices, triangles, colors, corner_uv, drawn)
        self._set_camera(program, focal_px, principal_point, world_to_camera)
        _set_lights(program, lights, ambient, gloss)
        program["textured"].value = texture is not None
        image = self._upload(texture) if texture is not None else None
        if image is not None:
            image.use(0)
        covered = self._draw(program, corners, self._multisampled)
        if image is not None:
            image.release()
        alpha = covered[..., 3:4].astype(np.float32) / 255
        scene = covered[..., :3].astype(np.float32)
        behind = np.full(scene.shape, 128, np.float32) if background is None else background.astype(np.float32)
        if behind.shape != scene.shape:
            raise ValueError(f"background has shape {behind.shape}, expected {scene.shape}")
        return np.clip(scene + (1 - alpha) * behind + 0.5, 0, 255).astype(np.uint8)

    def surface(
        self,
        vertices: NDArray[np.floating[Any]],
        triangles: NDArray[np.integer[Any]],
        *,
        focal_px: float,
        principal_point: tuple[float, float],
        world_to_camera: NDArray[np.floating[Any]],
    ) -> SurfaceBuffers:
        """The triangle that each pixel's centre sees, and its depth; arguments as in ``render``."""
        self._set_camera(self._ids, focal_px, principal_point, world_to_camera)
        target = self._id_target
        target.use()
        self._gl.enable(self._gl.DEPTH_TEST)
        target.clear()
        for attachment, fill in zip(target.color_attachments, (np.int32(-1), np.float32(np.inf)), strict=True):
            attachment.write(np.full(self.size[::-1], fill).tobytes())
        self._submit(self._ids, _corner_arrays(vertices, triangles, None, None))
        width, height = self.size
        ids = np.frombuffer(target.read(components=1, attachment=0, dtype="i4"), np.int32).reshape(height, width)
        depth = np.frombuffer(target.read(components=1, attachment=1, dtype="f4"), np.float32).reshape(height, width)
        return SurfaceBuffers(ids[::-1].copy(), depth[::-1].copy())

    def _draw(self, program: Any, corners: dict[str, NDArray[np.float32]], target: Any) -> NDArray[np.uint8]:
        target.use()
        self._gl.enable(self._gl.DEPTH_TEST)
        target.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        self._submit(program, corners)
        self._gl.copy_framebuffer(self._resolved, target)
        width, height = self.size
        raw = self._resolved.read(components=4, alignment=1)
        return np.frombuffer(raw, np.uint8).reshape(height, width, 4)[::-1]

    def _submit(self, program: Any, corners: dict[str, NDArray[np.float32]]) -> None:
        gl = self._gl
        used = [(name, array) for name, array in corners.items() if name in program]
        buffers = [gl.buffer(np.ascontiguousarray(array, np.float32).tobytes()) for _, array in used]
        layout = [(b, f"{array.shape[1]}f", name) for b, (name, array) in zip(buffers, used, strict=True)]
        mesh = gl.vertex_array(program, layout)
        mesh.render()
        mesh.release()
        for item in buffers:
            item.release()

    def _upload(self, texture: NDArray[np.uint8]) -> Any:
        height, width = texture.shape[:2]
        image = self._gl.texture((width, height), 3, np.ascontiguousarray(texture[::-1]).tobytes(), alignment=1)
        image.build_mipmaps()
        image.filter = (self._gl.LINEAR_MIPMAP_LINEAR, self._gl.LINEAR)
        return image

    def _set_camera(
        self,
        program: Any,
        focal_px: float,
        principal_point: tuple[float, float],
        world_to_camera: NDArray[np.floating[Any]],
    ) -> None:
        width, height = self.size
        near, far = 0.01, 100.0
        cx, cy = principal_point
        clip = np.array(
            [
                [2 * focal_px / width, 0, 2 * cx / width - 1, 0],
                [0, -2 * focal_px / height, 1 - 2 * cy / height, 0],
                [0, 0, (far + near) / (far - near), -2 * far * near / (far - near)],
                [0, 0, 1, 0],
            ]
        )
        program["clip_from_camera"].write(clip.T.astype(np.float32).tobytes())
        pose = np.asarray(world_to_camera, np.float64).reshape(3, 4)
        program["camera_from_world"].write(pose.T.astype(np.float32).tobytes())


def look_at_head(
    distance: float, yaw: float = 0.0, pitch: float = 0.0, target: Sequence[float] = (0, 0, 0)
) -> NDArray[Any]:
    """World-to-camera (3,4) of a camera that looks at ``target`` (head space, metres) from ``distance`` metres.

    ``yaw`` > 0 moves the camera to the subject's left, ``pitch`` > 0 moves it up; radians.
    """
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    backward = np.array([sy * cp, sp, cy * cp])
    right = np.array([cy, 0.0, -sy])
    rotation = np.stack([right, -np.cross(backward, right), -backward])
    return np.concatenate([rotation, (rotation @ -(np.asarray(target, float) + distance * backward))[:, None]], axis=1)


def vertex_normals(vertices: NDArray[np.floating[Any]], triangles: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Area-weighted unit normals (V,3) of vertices (V,3)."""
    corners = np.asarray(vertices, np.float64)[triangles]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros((len(vertices), 3))
    for k in range(3):
        np.add.at(normals, triangles[:, k], face)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)


def _corner_arrays(
    vertices: NDArray[np.floating[Any]],
    triangles: NDArray[np.integer[Any]],
    colors: NDArray[np.floating[Any]] | None,
    corner_uv: NDArray[np.floating[Any]] | None,
    drawn: NDArray[np.bool_] | None = None,
) -> dict[str, NDArray[np.float32]]:
    if len(triangles) > MAX_TRIANGLES:
        raise UserError(
            ErrorCode.MESH_SIZE, f"Cannot draw {len(triangles)} triangles: at most {MAX_TRIANGLES} are allowed."
        )
    normals = vertex_normals(vertices, triangles)
    if drawn is not None:
        triangles = np.asarray(triangles)[drawn]
        corner_uv = None if corner_uv is None else np.asarray(corner_uv)[drawn]
    flat = np.asarray(triangles).reshape(-1)
    count = len(flat)
    color = np.full((count, 3), 0.7, np.float32) if colors is None else np.asarray(colors, np.float32)[flat]
    uv = np.zeros((count, 2), np.float32) if corner_uv is None else np.asarray(corner_uv, np.float32).reshape(count, 2)
    return {
        "position": np.asarray(vertices, np.float32)[flat],
        "normal": normals[flat].astype(np.float32),
        "color": color,
        "uv": uv,
    }


def _set_lights(program: Any, lights: Sequence[Light], ambient: tuple[float, float, float], gloss: float) -> None:
    if len(lights) > 8:
        raise ValueError(f"{len(lights)} lights given, at most 8 are supported")
    directions = np.zeros((8, 3), np.float32)
    colors = np.zeros((8, 3), np.float32)
    for n, light in enumerate(lights):
        directions[n] = np.asarray(light.direction) / np.linalg.norm(light.direction)
        colors[n] = light.color
    program["light_count"].value = len(lights)
    program["light_direction"].write(directions.tobytes())
    program["light_color"].write(colors.tobytes())
    program["ambient"].value = tuple(ambient)
    program["gloss"].value = gloss


def create_context() -> Any:
    """An OpenGL context without a window. Raises ``UserError`` ``no_opengl``."""
    try:
        import moderngl

        create: Any = moderngl.create_standalone_context  # its stub knows no keywords
        return create(**context_options(sys.platform))
    except Exception as error:  # moderngl raises bare Exceptions, and OSError where libEGL is missing
        raise UserError(
            ErrorCode.NO_OPENGL,
            f"OpenGL is not available for drawing without a window ({error}).",
            opengl_hint(sys.platform, installed=not isinstance(error, ImportError)),
        ) from error


def context_options(system: str) -> dict[str, str]:
    """moderngl's way to a context without a window on ``system`` (as ``sys.platform`` says it); EGL is Linux's."""
    return {} if system in ("win32", "darwin") else {"backend": "egl"}


def opengl_hint(system: str, *, installed: bool) -> str:
    """What a user can do about missing OpenGL; ``installed`` is whether the package moderngl is."""
    if not installed:
        return "Install the package moderngl; for Linux on ARM64 it has no wheels and is built with a C compiler."
    if system in ("win32", "darwin"):
        return "Run it where you are logged in at the screen, with the graphics card's driver installed."
    return "Install Mesa's software renderer: apt-get install libegl1 libgl1-mesa-dri."

"""Draws a rendered head and what it wears into one picture, fast: static buffers stay on the graphics side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.render import create_context
from backend.training.samples import SAMPLE_SIDE
from backend.training.synthetic import shaders
from backend.training.synthetic.lighting import LAMPS, Lighting
from backend.training.synthetic.shadows import SHADOW_SIDE, clip_from_lamp
from backend.training.synthetic.views import Camera

F32 = NDArray[np.float32]
Image = NDArray[np.uint8]

NEAR, FAR = 0.02, 20.0  # metres
_SAMPLES = 4


@dataclass(frozen=True, eq=False)
class Surface:
    """Something to draw: ``vertices (R,3)`` and ``normals (R,3)`` in camera space, metres.

    ``mesh`` and ``texture`` name what ``Stage`` was given; ``tint`` linear RGB. Hair and beards end where ``amount
    (R,)`` falls below a half, give or take ``ragged`` / 2 by strand; everything else has neither. ``opacity`` below 1
    is glass. ``two_sided`` surfaces show their back too. ``part`` picks the triangles that are drawn.
    """

    mesh: str
    vertices: F32
    normals: F32
    texture: str
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gloss: float = 1.0
    opacity: float = 1.0
    amount: F32 | None = None
    ragged: float = 0.0
    two_sided: bool = False
    part: str = "all"

    @property
    def hides(self) -> bool:
        """True where points behind it count as hidden."""
        return self.opacity > 0.7


class Stage(AbstractContextManager["Stage", None]):
    """An off-screen picture of ``side``² pixels; a context manager. Raises UserError ``no_opengl``."""

    def __init__(self, side: int = SAMPLE_SIDE) -> None:
        self._gl = create_context()
        gl = self._gl
        self._size = (side, side)
        self._programs = {
            "solid": gl.program(vertex_shader=shaders.VERTEX, fragment_shader=shaders.FRAGMENT),
            "strands": gl.program(vertex_shader=shaders.VERTEX, fragment_shader=shaders.STRANDS_FRAGMENT),
            "depth": gl.program(vertex_shader=shaders.DEPTH_VERTEX, fragment_shader=shaders.DEPTH_FRAGMENT),
            "strands depth": gl.program(
                vertex_shader=shaders.STRANDS_DEPTH_VERTEX, fragment_shader=shaders.STRANDS_DEPTH_FRAGMENT
            ),
        }
        backdrop = gl.program(vertex_shader=shaders.BACKDROP_VERTEX, fragment_shader=shaders.BACKDROP_FRAGMENT)
        samples = min(_SAMPLES, gl.max_samples)
        self._target = gl.framebuffer(
            [gl.renderbuffer(self._size, 4, samples=samples)], gl.depth_renderbuffer(self._size, samples=samples)
        )
        self._resolved = gl.framebuffer([gl.renderbuffer(self._size, 4)])
        self._depth = gl.depth_texture(self._size)
        self._depth_target = gl.framebuffer(depth_attachment=self._depth)
        self._lamp_depth = gl.depth_texture((SHADOW_SIDE, SHADOW_SIDE))
        self._lamp_depth.compare_func = ""  # read as numbers
        self._lamp_depth.repeat_x = self._lamp_depth.repeat_y = False
        self._lamp_target = gl.framebuffer(depth_attachment=self._lamp_depth)
        self._backdrop = gl.texture(self._size, 3, alignment=1)
        corners = np.array([(-1, -1), (1, -1), (-1, 1), (1, 1)], np.float32)
        self._quad = gl.vertex_array(backdrop, [(gl.buffer(corners.tobytes()), "2f", "corner")])
        self._meshes: dict[str, _Mesh] = {}
        self._textures: dict[str, Any] = {}

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._gl.release()

    def add_mesh(self, name: str, uv: F32, wet: F32, parts: Mapping[str, NDArray[np.int32]]) -> None:
        """Keep what stays the same about a mesh: uv (R,2), ``wet (R,)``, triangles (F,3) by part's name."""
        with self._gl:
            self._meshes[name] = _Mesh(self._gl, self._programs, uv, wet, parts)

    def add_texture(self, name: str, picture: Image) -> None:
        """Keep a picture (h,w,4), row 0 its top (v = 1)."""
        height, width = picture.shape[:2]
        with self._gl:
            texture = self._gl.texture((width, height), 4, np.ascontiguousarray(picture[::-1]).tobytes())
            texture.build_mipmaps()
            texture.filter = (self._gl.LINEAR_MIPMAP_NEAREST, self._gl.LINEAR)
        self._textures[name] = texture

    def draw(
        self, surfaces: Sequence[Surface], camera: Camera, lighting: Lighting, background: Image
    ) -> tuple[Image, Image, F32]:
        """The RGB picture, the foreground (S,S) uint8, and the depth (S,S) in metres of the nearest that ``hides``.

        ``surfaces``: the head first, then in the order in which see-through ones have to be drawn. Depth is ``FAR``
        where there is nothing.
        """
        clip = _clip_from_camera(camera, self._size[0]).T.astype(np.float32).tobytes()
        with self._gl:  # another renderer may have drawn in between
            for surface in surfaces:
                self._meshes[surface.mesh].place(surface)
            self._draw_shadows(surfaces, lighting)
            picture, foreground = self._draw_picture(surfaces, clip, lighting, background)
            return picture, foreground, self._draw_depth(surfaces, clip)

    def _draw_shadows(self, surfaces: Sequence[Surface], lighting: Lighting) -> None:
        """Draw what the first lamp sees and hand it to the programs that colour."""
        lamp = clip_from_lamp(surfaces[0].vertices, lighting.directions[0]).T.astype(np.float32).tobytes()
        for kind in ("solid", "strands"):
            program = self._programs[kind]
            program["clip_from_lamp"].write(lamp)
            program["shadow"].value, program["penumbra"].value = lighting.shadow, lighting.penumbra / 4
            program["lamp_depth"].value = 1
        self._fill_depth(self._lamp_target, surfaces, lamp, both_sides=True)
        self._lamp_depth.use(1)

    def _draw_picture(
        self, surfaces: Sequence[Surface], clip: bytes, lighting: Lighting, background: Image
    ) -> tuple[Image, Image]:
        gl = self._gl
        self._target.use()
        self._target.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        gl.disable(gl.DEPTH_TEST | gl.BLEND)
        self._backdrop.write(np.ascontiguousarray(background[::-1]))
        self._backdrop.use(0)
        self._quad.render(gl.TRIANGLE_STRIP)
        gl.enable(gl.DEPTH_TEST)
        gl.blend_func = gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE_MINUS_SRC_ALPHA
        for kind in ("solid", "strands"):
            _set_lighting(self._programs[kind], lighting)
            self._programs[kind]["clip_from_camera"].write(clip)
        for surface in surfaces:
            kind = "solid" if surface.amount is None else "strands"
            program = self._programs[kind]
            self._textures[surface.texture].use(0)
            program["tint"].value = surface.tint
            program["gloss"].value = surface.gloss * lighting.gloss
            program["two_sided"].value = surface.two_sided
            if kind == "solid":
                program["opacity"].value = surface.opacity
            else:
                program["ragged"].value = surface.ragged
            (gl.disable if surface.two_sided else gl.enable)(gl.CULL_FACE)
            (gl.enable if surface.opacity < 1 else gl.disable)(gl.BLEND)
            self._meshes[surface.mesh].render(kind, surface.part)
        gl.copy_framebuffer(self._resolved, self._target)
        raw = self._resolved.read(components=4, alignment=1)
        rgba = np.frombuffer(raw, np.uint8).reshape(*self._size, 4)[::-1]
        return np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])

    def _draw_depth(self, surfaces: Sequence[Surface], clip: bytes) -> F32:
        self._fill_depth(self._depth_target, surfaces, clip)
        raw = np.frombuffer(self._depth.read(alignment=1), np.float32).reshape(self._size)[::-1]
        return np.asarray(2 * FAR * NEAR / (FAR + NEAR - (2 * raw - 1) * (FAR - NEAR)), np.float32)

    def _fill_depth(self, target: Any, surfaces: Sequence[Surface], clip: bytes, *, both_sides: bool = False) -> None:
        gl = self._gl
        target.use()
        target.clear(depth=1.0)
        gl.disable(gl.BLEND)
        gl.enable(gl.DEPTH_TEST)
        for kind in ("depth", "strands depth"):
            self._programs[kind]["clip_from_camera"].write(clip)
        for surface in surfaces:
            if surface.hides:
                (gl.disable if both_sides or surface.two_sided else gl.enable)(gl.CULL_FACE)
                self._meshes[surface.mesh].render("depth" if surface.amount is None else "strands depth", surface.part)


class _Mesh:
    """A mesh's buffers: what stays, and what is written anew for each picture."""

    def __init__(
        self, gl: Any, programs: Mapping[str, Any], uv: F32, wet: F32, parts: Mapping[str, NDArray[np.int32]]
    ) -> None:
        self._count = len(uv)
        self._moving = gl.buffer(reserve=28 * self._count, dynamic=True)
        self._written = np.ones((self._count, 7), np.float32)
        fixed = gl.buffer(np.column_stack([uv, wet]).astype(np.float32).tobytes())
        self._arrays = {}
        for part, triangles in parts.items():
            index = gl.buffer(np.ascontiguousarray(triangles, np.int32).tobytes())
            for kind, program in programs.items():
                layout = [(self._moving, *_layout(program, {"position": 3, "normal": 3, "amount": 1}))]
                if "uv" in program:
                    layout.append((fixed, *_layout(program, {"uv": 2, "wet": 1})))
                self._arrays[kind, part] = gl.vertex_array(program, layout, index_buffer=index, index_element_size=4)

    def place(self, surface: Surface) -> None:
        """Write the vertices, normals and amounts of the next picture."""
        if surface.vertices.shape != (self._count, 3):
            raise ValueError(f"vertices have shape {surface.vertices.shape}, expected {(self._count, 3)}")
        self._written[:, :3], self._written[:, 3:6] = surface.vertices, surface.normals
        if surface.amount is not None:
            self._written[:, 6] = surface.amount
        self._moving.write(self._written)

    def render(self, kind: str, part: str) -> None:
        """Draw a part with the program of this kind."""
        self._arrays[kind, part].render()


def _layout(program: Any, fields: Mapping[str, int]) -> tuple[str, ...]:
    """A buffer's format for ``program`` and the names of the fields it uses; the others are skipped."""
    form = " ".join(f"{size}f" if name in program else f"{4 * size}x" for name, size in fields.items())
    return form, *(name for name in fields if name in program)


def _set_lighting(program: Any, lighting: Lighting) -> None:
    program["ambient"].write(np.ascontiguousarray(lighting.ambient.T, np.float32).tobytes())
    program["lamp_direction"].write(np.ascontiguousarray(lighting.directions, np.float32).tobytes())
    program["lamp_color"].write(np.ascontiguousarray(lighting.colors, np.float32).tobytes())
    if len(lighting.directions) != LAMPS:
        raise ValueError(f"{len(lighting.directions)} lamps given, expected {LAMPS}")


def _clip_from_camera(camera: Camera, side: int) -> NDArray[np.float64]:
    focal = camera.focal_px
    cx, cy = camera.principal_point
    return np.array(
        [
            [2 * focal / side, 0, 2 * cx / side - 1, 0],
            [0, -2 * focal / side, 1 - 2 * cy / side, 0],
            [0, 0, (FAR + NEAR) / (FAR - NEAR), -2 * FAR * NEAR / (FAR - NEAR)],
            [0, 0, 1, 0],
        ]
    )

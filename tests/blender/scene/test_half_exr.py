"""An OpenEXR file of half floats as Blender reads it."""

from __future__ import annotations

import bpy
import numpy as np

from blender_addon.scene.half_exr import half_exr


def test_blender_reads_every_half_of_it() -> None:
    """Of noise, which stays as it is, above what compresses; the last block is not full."""
    height, width = 37, 50
    pixels = np.random.default_rng(0).normal(size=(height, width, 3)).astype(np.float16)
    pixels[20:] = np.linspace(-1e-3, 1e-3, width, dtype=np.float16)[:, None] * np.float16([1, 2, -1])
    data = half_exr(pixels)
    image = bpy.data.images.new("noise", 1, 1, float_buffer=True, is_data=True)
    image.source = "FILE"
    image.pack(data=data, data_len=len(data))
    image.colorspace_settings.name = "Non-Color"
    assert tuple(image.size) == (width, height) and image.is_float
    found = np.empty(4 * width * height, np.float32)
    image.pixels.foreach_get(found)
    np.testing.assert_array_equal(found.reshape(height, width, 4)[::-1, :, :3], pixels.astype(np.float32))


def test_what_is_empty_takes_next_to_nothing() -> None:
    assert len(half_exr(np.zeros((256, 256, 3), np.float16))) < 0.01 * 256 * 256 * 6

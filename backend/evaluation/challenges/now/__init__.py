"""The NoW Challenge: neutral heads from photographs, compared with scans (Sanyal et al. 2019)."""

"""The folders in which public data sets of scanned faces come, checked before anything of them is used."""

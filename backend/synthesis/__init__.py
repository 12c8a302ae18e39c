"""Made performances: rendered clips and exact alignments whose truth is known."""

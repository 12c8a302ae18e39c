"""Readers of other head models' files; each gives a ``SourceHead`` that registration turns into a ``HeadModel``."""

"""The closed set of errors kesu raises for its users' input; each says what, where and what to do."""

from __future__ import annotations


class KesuError(Exception):
    """Base of every error whose message is meant for the user of kesu."""


class InvalidInput(KesuError):
    """A text, file or option that kesu cannot accept."""


class InvalidArtefact(KesuError):
    """A model folder that is incomplete, damaged or of another format."""


class InvalidTaxonomy(KesuError):
    """A taxonomy file with a missing, doubled or unknown entry."""

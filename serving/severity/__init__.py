"""Rules that raise a complaint's severity, each with the words that fired: data in ``rules.yaml``, raise only."""

from serving.severity.facts import CaseFacts
from serving.severity.rules import SeverityRules

__all__ = ["CaseFacts", "SeverityRules"]

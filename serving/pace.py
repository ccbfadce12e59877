"""How fast texts are answered, measured as they are: for saying beforehand how long one would have to wait."""

from __future__ import annotations

# Seconds a token until something was measured: the shipped model on one core of a server of 2024.
_FIRST = 1e-4
# What a measurement leaves of the ones before it.
_KEPT = 0.9
# A moment at which the machine stood still must not count for more than this many times the usual, and nothing that
# did not pass through the network for less than the fastest processor needs.
_MOST_TIMES, _FASTEST = 4.0, 1e-5
# A measurement of more tokens (evidence for a long text) counts as one of so many: its cost was a guess.
_MOST_TOKENS = 640


class Pace:
    """A mean of seconds a token that forgets; a ratio of two sums, so that many tiny texts do not outweigh the long."""

    def __init__(self) -> None:
        self._seconds, self._tokens = _FIRST * 1000, 1000.0

    @property
    def seconds_per_token(self) -> float:
        """As measured of late."""
        return self._seconds / self._tokens

    def measured(self, tokens: int, seconds: float) -> None:
        """Note that one worker took ``seconds`` for ``tokens``."""
        pace = min(max(seconds / max(1, tokens), _FASTEST), _MOST_TIMES * self.seconds_per_token)
        weight = min(tokens, _MOST_TOKENS)
        self._seconds = _KEPT * self._seconds + pace * weight
        self._tokens = _KEPT * self._tokens + weight

"""Everything that makes and measures a model; nothing that answers requests imports it."""

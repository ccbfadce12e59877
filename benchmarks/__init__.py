"""Side-by-side measurements; each module is a script anyone can run."""

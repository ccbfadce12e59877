"""One module a group of paths; each parses, calls the service and replies."""

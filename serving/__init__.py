"""What answers requests: the command line."""

"""The labelled corpus, and every way labelled text comes in and goes out."""

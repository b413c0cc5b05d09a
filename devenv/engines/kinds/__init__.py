"""The kinds of `[services.<name>]` at work on an engine: one file a kind."""

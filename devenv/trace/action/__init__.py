"""A request that writes, on a scratch pair: what must be written held against what was."""

"""Both stores at one point: save, restore, baseline, archive."""

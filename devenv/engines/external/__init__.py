"""Engine `external`: services that already run elsewhere."""

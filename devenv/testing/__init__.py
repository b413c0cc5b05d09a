"""The pytest plugin and its process reaper."""

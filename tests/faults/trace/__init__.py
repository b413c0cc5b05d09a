"""The fault suite of `devenv trace`: faults in real stores, real processes and copies of the application."""

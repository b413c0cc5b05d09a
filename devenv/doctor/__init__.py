"""`devenv doctor`: runs the checks and proposes fixes."""

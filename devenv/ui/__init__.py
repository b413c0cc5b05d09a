"""`devenv ui`: both stores, every request and the first layer that breaks, on one live page."""

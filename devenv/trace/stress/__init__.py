"""`devenv trace … --stress`: the same request under one bad condition at a time."""

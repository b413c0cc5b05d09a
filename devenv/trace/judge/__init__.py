"""Name the first layer that breaks: pure comparison of what the layers observed."""

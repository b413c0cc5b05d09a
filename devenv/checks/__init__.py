"""What `devenv doctor` checks: one file per group, each with its checks as a tuple in running order."""

"""The layers that `devenv trace` asks, one file each, and what they give. They observe; `devenv.judge` compares."""

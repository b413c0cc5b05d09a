"""The pages of `devenv help`: one Markdown file for each topic. `devenv.help.pages` reads them."""

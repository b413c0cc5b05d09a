"""Stream workers: what a table's stream tells is given to the project's own function, as AWS Lambda does."""

"""Run the application's code in its own interpreter and record its store calls."""

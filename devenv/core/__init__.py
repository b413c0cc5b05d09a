"""Results, errors, events and templates that everything else uses."""

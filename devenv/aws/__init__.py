"""AWS around the tables: read from templates and from the account, judged against `[safety]`."""

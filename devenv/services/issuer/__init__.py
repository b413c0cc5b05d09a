"""A local issuer of sign-in tokens: its key, the claims of the tokens, and the addresses that an application asks."""

"""The reference application: messages over Postgres and DynamoDB. It knows nothing of devenv, only its environment."""

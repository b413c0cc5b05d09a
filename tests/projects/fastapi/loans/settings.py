from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    database_url: str = "postgresql+asyncpg://tools:tools@localhost:5432/tools"
    dynamodb_endpoint: str | None = None
    aws_region: str = "us-west-2"
    loans_table: str = "loans"


settings = Settings()

"""Reports in; text, JSON, HTML or OTLP out."""

"""The API through its own application, on a real database."""

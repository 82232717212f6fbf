"""What serves HTTP: the application, bodies, problems, pages of lists, the OpenAPI document."""

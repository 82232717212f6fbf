"""What operators decide about partners."""

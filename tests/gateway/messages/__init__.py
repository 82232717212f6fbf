"""What the core platform is told: events in order, and webhooks."""

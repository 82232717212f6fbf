"""What partners notify us of, and what we tell the core platform."""

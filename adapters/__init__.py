"""One folder per payment partner: its operations as plans (generators of requests), without any I/O."""

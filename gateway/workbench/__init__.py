"""The workbench: run one operation at a partner, look at every exchange, keep it, and compare two recordings."""

"""Partners' switches, the funnel and health over HTTP."""

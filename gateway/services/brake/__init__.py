"""A crowd of equal refusals is about the partner: refusals are weighed, the stage held, and the run asked again."""

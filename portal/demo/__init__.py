"""A demonstration: the main job from end to end, through the same HTTP API that everybody uses."""

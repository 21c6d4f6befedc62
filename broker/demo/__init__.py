"""The demonstration: a self-made identity provider and the main job before your eyes."""

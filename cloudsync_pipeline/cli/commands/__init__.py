"""The commands, one file a group; each has `add_to(app)`."""

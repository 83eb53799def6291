"""The pure core: what things are, and the ports that the outside implements. Nothing here does I/O."""

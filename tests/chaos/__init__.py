"""The chaos kit: a whole stack under load, faults from a seed, and an audit of what came of it. `scripts/chaos --help`."""

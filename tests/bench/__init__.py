"""The benchmarks. Each figure is a ratio against a baseline of the same run, printed as a table."""

"""Rows of proof that concern several processes, sockets or servers at once. README.md says which test proves which row."""

"""Pages for the business, rendered on the server."""

from gateway.console.pages import Console

__all__ = ["Console"]

"""The REST API under /api/v1, described by /api/openapi.json."""

from gateway.api.routes import Api

__all__ = ["Api"]

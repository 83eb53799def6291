"""Parley: a self-hosted, multi-tenant gateway between a business and its customers."""

__version__ = "0.1.0"

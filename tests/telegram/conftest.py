"""What the tests of this channel share."""

from tests.telegram.rig import rig

__all__ = ["rig"]

"""A gateway whose pacing and sweeps follow the moved clock."""

from tests.core.test_delivery import timed as timed

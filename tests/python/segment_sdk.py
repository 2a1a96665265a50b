"""The guide's group call through Segment's Python SDK, and calls that say nothing about an org.

segment_sdk.py HOST KEY gzip|plain GROUP_ID TRAITS
Prints what went wrong and how many requests that took.
"""

import sys

from calls import run
from segment.analytics.client import Client

run("segment", Client, *sys.argv[1:])

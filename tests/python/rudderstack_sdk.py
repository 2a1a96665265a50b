"""The guide's group call through RudderStack's Python SDK, and calls that say nothing about an org.

rudderstack_sdk.py DATA_PLANE_URL KEY gzip|plain GROUP_ID TRAITS
Prints what went wrong and how many requests that took.
"""

import sys

from calls import run
from rudderstack.analytics.client import Client

run("rudderstack", Client, *sys.argv[1:])

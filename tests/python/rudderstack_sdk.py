"""The guide's group call through RudderStack's Python SDK, and calls that say nothing about an org.

rudderstack_sdk.py DATA_PLANE_URL KEY gzip|plain GROUP_ID TRAITS
Prints what went wrong and how many requests that took.
"""

import json
import sys

from calls import Requests, make
from rudderstack.analytics.client import Client

host, key, packing, group_id, traits = sys.argv[1:]
requests = Requests("rudderstack")
failed = []
client = Client(
    key, host=host, gzip=packing == "gzip", max_retries=2, on_error=lambda error, batch: failed.append(str(error))
)
make(client, group_id, json.loads(traits))
client.shutdown()
print(json.dumps({"requests": requests.count, "failed": failed}))

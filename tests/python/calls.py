"""What both Python SDKs are called with: they have the same interface."""

import json
import logging
import os


class Requests(logging.Handler):
    """Counts the requests that an SDK makes, by what it logs of each."""

    def __init__(self, name):
        super().__init__()
        self.count = 0
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self)

    def emit(self, record):
        if record.getMessage().startswith("making request"):
            self.count += 1


def calls(client, group_id, traits):
    """The guide's group call, one that can never be stored, and one of every other kind."""
    yield client.group("user_789", group_id, traits)
    yield client.group("user_789", "ws_bad", {"mrr": "not a number"})
    yield client.track("user_789", "Plan Changed")
    yield client.identify("user_789", {"name": "not an org"})
    yield client.page("user_789", "docs", "Pricing")
    yield client.screen("user_789", "docs", "Pricing")
    yield client.alias("anonymous", "user_789")


def run(name, client_class, host, key, packing, group_id, traits):
    """Makes the calls, waits for the SDK to be done with them, and prints what went wrong and how many requests it took."""
    requests = Requests(name)
    failed = []
    client = client_class(
        key,
        host=host,
        gzip=packing == "gzip",
        max_retries=2,
        on_error=lambda error, batch: failed.append(str(error)),
        # A batch leaves when it has all calls, however slow this machine is.
        upload_size=7,
        upload_interval=60,
    )
    made = list(calls(client, group_id, json.loads(traits)))
    assert len(made) == 7
    client.flush()
    print(json.dumps({"requests": requests.count, "failed": failed}), flush=True)
    # The consumer's thread waits for the next batch; nobody has to wait for it.
    os._exit(0)

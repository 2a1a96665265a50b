"""What both Python SDKs are called with: they have the same interface."""

import logging


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


def make(client, group_id, traits):
    """One group call, and one of every other kind."""
    client.group("user_789", group_id, traits)
    client.track("user_789", "Plan Changed")
    client.identify("user_789", {"name": "not an org"})
    client.page("user_789", "docs", "Pricing")
    client.screen("user_789", "docs", "Pricing")
    client.alias("anonymous", "user_789")

"""What people do, in the platform's log: told by the services in which it happened."""

import pytest

from mirage import Client
from tests.support.activity_log import told_once
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")


def test_signing_up_is_told(platform: PlatformForTests, client: Client) -> None:
    """A new account reaches the log, in auth's name."""
    user_id = client.account.me().id
    [told] = told_once(platform, user_id, bool)[:1]
    assert (told.service, told.kind, told.object_id) == ("auth", "account.registered", user_id)

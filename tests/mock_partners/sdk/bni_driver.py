"""Calls BNI's Python SDK by name, under the Python that it needs: a line of JSON in, a line of JSON out.

It runs apart from the tests, in an environment with bnipython alone. Nothing of the SDK is patched: SANDBOX_BASE_URL is
its own setting.
"""

import json
import sys

from bnipython.lib.api.oneGatePayment import OneGatePayment
from bnipython.lib.api.snapBI import SnapBI
from bnipython.lib.bniClient import BNIClient
from bnipython.lib.util import constants

base, key_path = sys.argv[1:3]
constants.SANDBOX_BASE_URL = base


def run(settings, family, method, params):
    client = BNIClient({"env": "sandbox", **settings})
    if family == "ogp":
        return getattr(OneGatePayment(client), method)(params)
    return getattr(SnapBI(client, {"privateKeyPath": key_path, "channelId": "95221"}), method)(params)


for line in sys.stdin:
    try:
        told = {"value": run(**json.loads(line))}
    except Exception as problem:  # noqa: BLE001  (whatever the SDK raises is what the test asks for)
        told = {"error": f"{type(problem).__name__}: {problem}"}
    print(json.dumps(told), flush=True)

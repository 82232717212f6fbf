"""Calls DANA's own Python SDK by name: a line of JSON in, a line of JSON out.

It runs apart from the tests, in an environment with dana-python alone. The SDK has no setting for another host than
DANA's: that one is put in its place, and nothing else of it is.
"""

import json
import os
import sys
from pathlib import Path

base, held = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
os.environ.update(DANA_ENV="SANDBOX", X_PARTNER_ID=held["client_id"], PRIVATE_KEY=held["private_key_pem"])

from dana.api_client import ApiClient  # noqa: E402  (the SDK reads the environment as it is imported)
from dana.disbursement.v1 import models as disbursement  # noqa: E402
from dana.disbursement.v1.api import DisbursementApi  # noqa: E402
from dana.utils.snap_configuration import AuthSettings, Env, SnapConfiguration  # noqa: E402
from dana.widget.v1 import models as widget  # noqa: E402
from dana.widget.v1.api import WidgetApi  # noqa: E402
from dana.widget.v1.util import Util  # noqa: E402

configuration = SnapConfiguration(
    api_key=AuthSettings(
        PRIVATE_KEY=held["private_key_pem"], ORIGIN="https://core.example.test", X_PARTNER_ID=held["client_id"],
        CLIENT_SECRET=held["client_secret"], DANA_ENV=Env.SANDBOX, ENV=Env.SANDBOX,
    )
)  # fmt: skip
configuration.get_host_settings = lambda: [{"url": base}]
client = ApiClient(configuration)
apis = {"disbursement": (DisbursementApi(client), disbursement), "widget": (WidgetApi(client), widget)}


def run(family, method, model, params):
    api, models = apis[family]
    request = getattr(models, model).from_dict(params)
    if method == "oauth_url":
        return Util.generate_oauth_url(request)
    return getattr(api, method)(request).to_dict()


for line in sys.stdin:
    try:
        told = {"value": run(**json.loads(line))}
    except Exception as problem:  # noqa: BLE001  (whatever the SDK raises is what the test asks for)
        told = {"error": f"{type(problem).__name__}: {problem}"}
    print(json.dumps(told, default=str), flush=True)

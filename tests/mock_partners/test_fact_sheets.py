"""Every failure code that the fact sheets print for a call that a mock serves can be had from that mock."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from mock_partners.gopay.payouts import MESSAGES as IRIS_MESSAGES
from mock_partners.kit.snap.magic import MESSAGES
from tests.mock_partners.signers import CLIENTS, Signer
from tests.mock_partners.signing import rsa_signature
from tests.mock_partners.test_magic import magic
from tests.mock_partners.wire import Mock, Sent, start
from tests.partners import each
from tests.partners.kit import Endpoint, section

LINKAJAS_OWN = {"40368"}
"""Case 68 stands in wallets.md 4.5 and in no table of SNAP's."""


def snap_table() -> Iterator[str]:
    """`403 07 / 08` of the case-code table as 40307 and 40308."""
    for status, cases in re.findall(r"^\| (\d{3}) (\d\d(?: / \d\d)*) \|", section("snap-bni.md", "1.8"), re.M):
        yield from (f"{status}{case}" for case in cases.split(" / "))


def test_every_failure_of_snaps_table_has_a_number_that_gets_it() -> None:
    """That each mock gives it by such a number is `test_magic`."""
    assert {code for code in snap_table() if code[0] != "2"} == MESSAGES.keys() - LINKAJAS_OWN


def test_every_error_code_of_iris_is_known() -> None:
    told = section("wallets.md", "2.6").partition("- Errors: ")[2].partition("[seen")[0]
    codes: set[str] = set()
    for first, last in re.findall(r"\b(0\d\d)(?:-(0\d\d))?", told):
        codes |= {f"{number:03d}" for number in range(int(first), int(last or first) + 1)}
    assert codes == IRIS_MESSAGES.keys()


PRINTED: dict[str, set[str]] = {partner: client.PRINTED for partner, client in CLIENTS.items()}


def test_the_sheets_print_codes_for_every_partner() -> None:
    """Seven digits, or by name in `codes.py` of the partner's tests."""
    named = {partner for partner, own in each("codes").items() if own.CODES.errors}
    silent = [partner for partner, codes in PRINTED.items() if not codes and partner not in named]
    assert silent == [], "print its codes in its fact sheet"
    assert sum(map(len, PRINTED.values())) > 50


@pytest.mark.parametrize("partner", PRINTED)
def test_every_printed_code_can_be_had(partner: str) -> None:
    """By a scenario at the very call, and where the call names an account also by its number."""
    calls = {endpoint.service: endpoint for endpoint in CLIENTS[partner].ENDPOINTS}

    async def ask() -> list[str]:
        mock = start(partner)
        missing = []
        for code in sorted(PRINTED[partner]):
            if code[3:5] in calls:
                told = await scripted(mock, calls[code[3:5]], code)
            elif code[3:5] == "10":
                told = await auth_code(mock, code)
            else:
                told = await token(mock, code)
            missing += [code] if told != code else []
        return missing

    assert asyncio.run(ask()) == []


async def stage(mock: Mock, code: str) -> None:
    toml = f'title = "x"\n[[rule]]\nname = "x"\ndo = {{ code = "{code}" }}\n'
    assert (await mock.send(Sent("PUT", "/__mock__/scenario", body=toml.encode()))).status == 200


async def scripted(mock: Mock, endpoint: Endpoint, code: str) -> str:
    await mock.send(Sent("DELETE", "/__mock__/scenario"))
    signer = Signer(mock, endpoint.product)
    await signer.authenticate()
    customer = mock.customer_token() if endpoint.customer or endpoint.bearer == "customer" else ""
    bearer = {"b2b": None, "": "", "customer": customer}[endpoint.bearer]
    asked = magic(endpoint, code[:3] + code[5:])
    if asked is not None and code[:3] + code[5:] in MESSAGES:
        by_number = await mock.send(signer.sign(asked, bearer=bearer, customer=customer if endpoint.customer else ""))
        assert by_number.code == code
    await stage(mock, code)
    return (await mock.send(signer.sign(endpoint, bearer=bearer, customer=customer if endpoint.customer else ""))).code


async def token(mock: Mock, code: str) -> str:
    """A token call's refusal; 74 is asked for at the path of the customer's token."""
    await stage(mock, code)
    signer = Signer(mock)
    return (await mock.send(signer.token_call(signer.product.customer_path if code[3:5] == "74" else ""))).code


async def auth_code(mock: Mock, code: str) -> str:
    """GoPay refuses get-auth-code in the redirect: by the phone that the signed data names."""
    await mock.send(Sent("DELETE", "/__mock__/scenario"))
    given = mock.secrets
    data = quote(f"mobileNumber=628009{code[:3]}{code[5:]}&paymentType=gopay", safe="")
    sign = quote(rsa_signature(given["snap_private_key_pem"], data), safe="")
    back = quote("http://gw.example.test/callbacks/gopay/link", safe="")
    query = f"state=s&merchantId={given['payment_handle']}&redirectUrl={back}&seamlessData={data}&seamlessSign={sign}"
    got = await mock.send(Sent("GET", "/v1.0/get-auth-code", query))
    location = dict(got.headers)[b"location"].decode()
    return parse_qs(urlsplit(location).query)["responseCode"][0]

"""Magic account numbers: a number that names a refusal gets it, so that every documented code can be had.

Such a number is a prefix that no customer has, three digits of HTTP status and two of the case: `9999940403` at BNI and
`0800940403` at a wallet are refused with case 03 of 404. Status 000 names no refusal; what its case means is the
partner's own.
"""

from __future__ import annotations

import re

from mock_partners.kit.snap.refusals import Refusal

BNI_PREFIX, WALLET_PREFIX = "99999", "8009"
"""BNI gives out no such accounts; 0800 numbers are toll-free lines, never mobile phones (both assumed)."""
UNNAMED = "000"
MESSAGES = {
    "40000": "Bad Request", "40001": "Invalid Field Format", "40002": "Invalid Mandatory Field",
    "40100": "Unauthorized. [Magic]", "40101": "Invalid Token (B2B)", "40102": "Invalid Customer Token",
    "40103": "Token Not Found (B2B)", "40104": "Customer Token Not Found",
    "40300": "Transaction Expired", "40301": "Feature Not Allowed", "40302": "Exceeds Transaction Amount Limit",
    "40303": "Suspected Fraud", "40304": "Activity Count Limit Exceeded", "40305": "Do Not Honor",
    "40306": "Feature Not Allowed At This Time. [Cut-off In Progress]", "40307": "Card Blocked",
    "40308": "Card Expired", "40309": "Dormant Account", "40310": "Need To Set Token Limit", "40311": "OTP Blocked",
    "40312": "OTP Lifetime Expired", "40313": "OTP Sent To Cardholder", "40314": "Insufficient Funds",
    "40315": "Transaction Not Permitted. [Magic]", "40316": "Suspend Transaction", "40317": "Token Limit Exceeded",
    "40318": "Inactive Account", "40319": "Merchant Blacklisted", "40320": "Merchant Limit Exceed",
    "40321": "Set Limit Not Allowed", "40322": "Token Limit Invalid", "40323": "Account Limit Exceed",
    "40368": "Card / Account Already In Use",
    "40400": "Invalid Transaction Status", "40401": "Transaction Not Found", "40402": "Invalid Routing",
    "40403": "Bank Not Supported By Switch", "40404": "Transaction Cancelled",
    "40405": "Merchant Is Not Registered For Card Registration Services", "40406": "Need To Request OTP",
    "40407": "Journey Not Found", "40408": "Invalid Merchant", "40409": "No Issuer",
    "40410": "Invalid API Transition", "40411": "Invalid Account", "40412": "Invalid Bill/Virtual Account",
    "40413": "Invalid Amount", "40414": "Paid Bill", "40415": "Invalid OTP", "40416": "Partner Not Found",
    "40417": "Invalid Terminal", "40418": "Inconsistent Request", "40419": "Invalid Bill/Virtual Account",
    "40500": "Requested Function Is Not Supported", "40501": "Requested Operation Is Not Allowed",
    "40900": "Conflict", "40901": "Duplicate partnerReferenceNo", "42900": "Too Many Requests",
    "50000": "General Error", "50001": "Internal Server Error", "50002": "External Server Error",
    "50400": "Timeout",
}  # fmt: skip
"""Every failure of SNAP's table (snap-bni.md 1.8), and LinkAja's case 68 (wallets.md 4.5)."""
_WALLET = re.compile(rf"(?:\+?62|0)?{WALLET_PREFIX}([0-9]{{3}})([0-9]{{2}})")
_BNI = re.compile(rf"{BNI_PREFIX}([0-9]{{3}})([0-9]{{2}})")


def named(number: str) -> tuple[str, str] | None:
    """Status and case that a magic number names; None for every other number."""
    found = _BNI.fullmatch(number) or _WALLET.fullmatch(number)
    return (found[1], found[2]) if found is not None else None


def refuse_if_magic(number: str) -> None:
    """Raises the refusal that a magic number names; numbers that name none of the table pass."""
    code = "".join(named(number) or ())
    if code in MESSAGES:
        raise Refusal(int(code[:3]), code[3:], MESSAGES[code])

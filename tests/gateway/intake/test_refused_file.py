"""The file of refused rows that is corrected and sent again, whatever the rows were handed over as."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from contracts.batch import COLUMNS, NOTES
from gateway.cli import files
from tests.gateway.api.kit import nik, row


@pytest.mark.parametrize("wrong", [int(nik(1)), 3.17e15, True, ["x"], {"a": 1}], ids=repr)
def test_a_value_of_another_type_is_left_to_be_filled_in(tmp_path: Path, wrong: object) -> None:
    handed, target = tmp_path / "rows.ndjson", tmp_path / "refused.csv"
    handed.write_text(json.dumps(row(1, nik=wrong, full_name="=Dewi")) + "\n")
    fault = {"field": "nik", "code": "digits_lost", "remedy": {"id": "a", "en": "b"}, "fields": ["nik"]}
    assert files.write(target, handed, [{"line": 1, "faults": [fault]}], ndjson=True) == 1
    (written,) = csv.DictReader(target.read_text().splitlines())
    assert list(written) == [*COLUMNS, *NOTES]
    assert (written["nik"], written["phone"], written["full_name"]) == ("", str(row(1)["phone"]), "'=Dewi")
    assert "\0" not in target.read_text()

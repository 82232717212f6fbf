"""When somebody is called: the rules that `monitoring/alerts.yml` gives Prometheus and `gateway doctor --live` reads.

Every rule compares one of our gauges with a number, so that both can judge it, and names its entry in the runbook.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

_HOUR_S, _DAY_S = 3_600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Alert:
    """Fires for each series of `metric` with these labels whose value is above a number. `page`: at night too."""

    name: str
    metric: str
    above: float
    summary: str
    labels: Mapping[str, str] = field(default_factory=dict)
    page: bool = False

    @property
    def expression(self) -> str:
        """In Prometheus' language."""
        chosen = ",".join(f'{name}="{value}"' for name, value in self.labels.items())
        return f"{self.metric}{{{chosen}}} > {self.above:g}" if chosen else f"{self.metric} > {self.above:g}"


ALERTS = (
    Alert("PartnerDown", "gateway_partner_held_seconds", 300, "A partner cannot be asked.", {"kind": "outage"}),
    Alert(
        "PartnerRefusesUs", "gateway_partner_held_seconds", _HOUR_S, "A partner refuses us, not anybody we pay.",
        {"kind": "ours"}, page=True,
    ),
    Alert(
        "CrowdRefused", "gateway_partner_held_seconds", 300, "A partner refused a crowd alike.", {"kind": "brake"},
        page=True,
    ),
    Alert(
        "PartnerThrottles", "gateway_partner_held_seconds", 4 * _HOUR_S, "A partner lets us ask too seldom.",
        {"kind": "throttled"},
    ),
    Alert("PartnerPaused", "gateway_partner_paused_seconds", 4 * _HOUR_S, "A partner is still paused."),
    Alert(
        "RecoveryWaits", "gateway_standing_seconds", 300, "Payments wait for a recovery.", {"because": "recovering"},
        page=True,
    ),
    Alert("UnknownForADay", "gateway_unknown_oldest_seconds", _DAY_S, "A payout is unknown for a day."),
    Alert("CaseOverdue", "gateway_cases_overdue", 0, "A case should have been decided."),
    Alert(
        "NoWorker", "gateway_standing_seconds", 60, "No worker works, and something is due.", {"because": "no_worker"},
        page=True,
    ),
    Alert(
        "WorkFails", "gateway_standing_seconds", 60, "Workers fail to take up what is due.", {"because": "failing"},
        page=True,
    ),
    Alert("LoopFails", "gateway_loop_failing_seconds", 600, "Something that a worker does fails each time.", page=True),
    Alert("Stalled", "gateway_cases_open", 0, "Something stands still.", {"code": "stalled"}, page=True),
    Alert("Contradiction", "gateway_cases_open", 0, "A partner said both paid and failed.", {"code": "contradiction"}),
    Alert("NotificationsWait", "gateway_notifications_oldest_seconds", 600, "Notifications wait.", page=True),
    Alert("ApprovalWaits", "gateway_approval_oldest_seconds", _DAY_S, "Something waits for its approvals."),
    Alert("SecondPersonWaits", "gateway_second_person_oldest_seconds", _DAY_S, "An act waits for a second person."),
    Alert("OutOfTime", "gateway_statements_out_of_time", 0, "A statement took too long."),
    Alert("DeadLetters", "gateway_webhook_dead_letters", 0, "A client was not told what happened."),
)  # fmt: skip


def firing(registry: CollectorRegistry) -> Iterator[tuple[Alert, Mapping[str, str], float]]:
    """Which alerts fire, for which labels, at which value."""
    samples = [sample for metric in registry.collect() for sample in metric.samples]
    for alert in ALERTS:
        for sample in samples:
            mine = sample.name == alert.metric and alert.labels.items() <= sample.labels.items()
            if mine and sample.value > alert.above:
                yield alert, sample.labels, sample.value


def as_prometheus() -> str:
    """The rules as a file for Prometheus; `up` is its own measure of whether we can be asked at all."""
    lines = ["groups:", "- name: prakerja-gateway", "  rules:"]
    lines += _rule("GatewayUnreachable", 'up{job="prakerja-gateway"} == 0', "The API does not answer.", page=True)
    for alert in ALERTS:
        lines += _rule(alert.name, alert.expression, alert.summary, page=alert.page)
    return "\n".join(lines) + "\n"


def _rule(name: str, expression: str, summary: str, *, page: bool) -> list[str]:
    return [
        f"  - alert: {name}",
        f"    expr: '{expression}'",
        "    for: 1m",
        f"    labels: {{severity: {'page' if page else 'ticket'}}}",
        f"    annotations: {{summary: '{summary}', runbook: 'docs/runbook.md#{name.lower()}'}}",
    ]

"""Neither people's numbers nor secrets go into a log."""

import json
import logging
from dataclasses import dataclass

import pytest
import structlog

from outdial.observability.logs import redact, set_up_logs

pytestmark = pytest.mark.unit


@dataclass
class LogSettings:
    log_format: str = "json"
    log_level: str = "INFO"


@pytest.mark.parametrize(
    ("event", "clean"),
    [
        ({"event": "called +12125550142 twice"}, {"event": "called ***42 twice"}),
        ({"url": "/x?to=%2B12125550142&a=1"}, {"url": "/x?to=***42&a=1"}),
        ({"form": {"To": "+12125550142", "n": 1}}, {"form": {"To": "***42", "n": 1}}),
        ({"seen": ["+12125550142"]}, {"seen": ["***42"]}),
        (
            {"auth_token": "abc", "X-Twilio-Signature": "s"},
            {"auth_token": "***", "X-Twilio-Signature": "***"},
        ),
        ({"url": "postgresql://me:word@host/db"}, {"url": "postgresql://***@host/db"}),
        ({"n": 12, "id": "01a1fccd-7308-7f06"}, {"n": 12, "id": "01a1fccd-7308-7f06"}),
    ],
)
def test_redaction(event: dict[str, object], clean: dict[str, object]) -> None:
    assert redact(None, "", dict(event)) == clean


def test_both_ways_of_logging_write_one_redacted_json_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        set_up_logs(LogSettings())
        logging.getLogger("somebody.else").warning("calling %s", "+12125550142")
        try:
            raise ValueError("+12125550142 is busy")
        except ValueError:
            structlog.get_logger("ours").exception("failed", phone="+12125550142")
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()
    assert [line["event"] for line in lines] == ["calling ***42", "failed"]
    assert lines[1]["phone"] == "***42"
    assert "***42 is busy" in lines[1]["exception"]


def test_what_happens_each_second_is_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Celery would write five of them: a hundred megabytes a day of nothing."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        set_up_logs(LogSettings())
        beat = logging.getLogger("celery.beat")
        beat.info("beat: Starting...")
        beat.info("Scheduler: Sending due task %s (%s)", "sweep", "outdial.sweep")
        logging.getLogger("celery.worker.strategy").info("Task %s received", "outdial.sweep")
        task = logging.getLogger("celery.app.trace")
        task.info("Task %s succeeded", "outdial.sweep")
        task.error("Task %s failed", "outdial.sweep")
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()
    assert [line["event"] for line in lines] == ["beat: Starting...", "Task outdial.sweep failed"]

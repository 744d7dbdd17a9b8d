"""Run every check, and say how it stands."""

from collections.abc import Iterator
from dataclasses import asdict

from outdial.settings import SettingsError, load_settings
from outdial_cli.doctor import check_house, check_keys
from outdial_cli.doctor.finding import Finding, missing
from outdial_cli.output import out, print_json

_MARKS = {"ok": ("ok  ", "green"), "note": ("note", "yellow"), "missing": ("MISSING", "red")}


def run_doctor(as_json: bool) -> int:
    """Print the report; the exit code is 1 when something is missing."""
    findings: list[Finding] = []
    for finding in _findings():
        findings.append(finding)
        if not as_json:
            _show(finding)
    lacking = sum(finding.grade == "missing" for finding in findings)
    if as_json:
        print_json({"ready": not lacking, "findings": [asdict(finding) for finding in findings]})
    elif lacking:
        out.print(f"\n{lacking} missing: a real call cannot be made yet.")
    else:
        out.print("\nEverything is there: try `outdial call +1...` with your own number.")
    return 1 if lacking else 0


def _findings() -> Iterator[Finding]:
    try:
        settings = load_settings()
    except SettingsError as error:
        for line in str(error).splitlines():
            yield missing("Settings", line, "Mend it in .env or in the environment.")
        return
    yield from check_keys.check_twilio(settings)
    yield check_keys.check_deepgram(settings)
    yield check_keys.check_groq(settings)
    yield check_house.check_public_url(settings)
    yield check_house.check_database(settings)
    yield check_house.check_redis(settings)
    yield check_house.check_pods()


def _show(finding: Finding) -> None:
    mark, colour = _MARKS[finding.grade]
    out.print(f"{mark:<8}", style=colour, end="")
    out.print(f"{finding.about}: {finding.says}", markup=False)
    if finding.do:
        out.print(f"{'':<8}{finding.do}", markup=False)

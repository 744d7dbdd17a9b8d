"""The work under trial: who is called, by which campaign, over what kind of carrier."""

import csv
import random
from collections.abc import Iterable
from pathlib import Path

from outdial_cli.api_client import ApiClient, Json

CAMPAIGN = "chaos"

# Of a hundred people. The others' endings stand in docs/sandbox.md.
SHARES = {
    "00": 22,  # talks
    "10": 4,  # hangs up early
    "11": 2,  # silent
    "02": 16,  # busy
    "03": 16,  # no answer
    "09": 10,  # declines
    "18": 7,  # busy, then talks
    "19": 7,  # no answer, then talks
    "08": 6,  # not in service
    "07": 5,  # refused by the carrier
    "04": 3,  # voicemail
    "06": 2,  # fax
}
ONE_IN_FIVE_ANSWERS = {
    **SHARES,
    "00": 10,
    "10": 3,
    "11": 1,
    "02": 22,
    "03": 28,
    "09": 12,
    "18": 4,
    "19": 4,
}
"""As of most campaigns; in the short trial more are talked to."""
NOBODY_TALKS = {"02": 40, "03": 40, "09": 20}
_AREAS = """
201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 234
239 240 248 251 252 253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309
310 312 313 314 315 316 317 318 319 320 321 323 330 334 336 337 347 351 352 360 361 386 401
402 404 405 406 407 408 409 410 412 413 414 415 417 419 423 424 425 430 432 434 440 443
""".split()  # noqa: SIM905 - a table to read

FAULTS: Json = {
    "callback_lost": 0.04,
    "callback_doubled": 0.06,
    "callback_delayed": 0.03,
    "callback_delay_seconds": 20,
    "callback_reordered": 0.04,
    "post_429": 0.001,
    "post_10004": 0.0005,
    "post_500": 0.003,
    "post_500_placed": 0.01,
    "post_dropped": 0.01,
    "post_slow": 0.005,
    "stream_refused": 0.02,
    "stream_cut": 0.03,
    "stream_cut_seconds": 1,
    "action_doubled": 0.05,
}
"""Shares. 429 and 10004 are rare, because each slows everybody down for 15 s."""

FAST: Json = {
    "audio": False,
    "talk_seconds": [0.2, 1.0],
    "ring_seconds": 0.1,
    "longest_ring_seconds": 1.0,
}


def phones(leads: int, seed: int, shares: dict[str, int] = SHARES) -> list[str]:
    """A number of its own for each lead, in random order."""
    endings = [ending for ending, share in shares.items() for _ in range(share)]
    random.Random(0).shuffle(endings)  # a few leads hold some of everybody
    counts = dict.fromkeys(shares, 0)
    found = []
    for n in range(leads):
        ending = endings[n % len(endings)]
        area, middle = divmod(counts[ending], 100)
        counts[ending] += 1
        found.append(f"+1{_AREAS[area]}555{middle:02d}{ending}")
    random.Random(seed).shuffle(found)
    return found


def write_csv(file: Path, numbers: Iterable[str]) -> None:
    """The leads as an operator would send them."""
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(("external_id", "phone", "name"))
        writer.writerows((f"lead-{n}", phone, "Maria") for n, phone in enumerate(numbers))


def start_campaign(api: ApiClient, file: Path, max_retries: int) -> None:
    """Template, campaign and leads; then dialing begins."""
    api.post("/v1/templates", _template(max_retries))
    api.post("/v1/campaigns", {"name": CAMPAIGN, "template": CAMPAIGN})
    answer = api.post_file(f"/v1/campaigns/{CAMPAIGN}/leads?results=refused", file, "text/csv")
    if answer["refused"] or answer["duplicates"]:
        raise ValueError(f"not every lead was taken: {answer}")
    api.post(f"/v1/campaigns/{CAMPAIGN}/start")


def _template(max_retries: int) -> Json:
    reasons = ("busy", "no_answer", "declined", "failed", "canceled", "machine")
    ours = ("technical_failure", "hung_up", "silent")
    return {
        "slug": CAMPAIGN,
        "language": "en-US",
        "agent": {
            "name": "Ada",
            "greeting": "Hello, this is Ada, an automated assistant. Can you make it?",
            "prompt": "Find out whether the person comes.",
        },
        "voicemail": {"mode": "leave_message", "script": "Please call us back. Goodbye."},
        "retry": {
            "max_retries": max_retries,
            "cooldowns": dict.fromkeys((*reasons, *ours), 5),
        },
        "recording": False,
    }

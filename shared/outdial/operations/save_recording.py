"""The carrier has a recording of a call: write where it is."""

from collections.abc import Mapping
from uuid import UUID

from outdial.domain.errors import Unavailable
from outdial.domain.fold_conversation import number
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.runtime import Runtime
from outdial.storage import recordings


async def save_recording(runtime: Runtime, attempt_id: UUID, form: Mapping[str, str]) -> None:
    """Write the row of a recording callback; one that says `absent` has no recording to name.

    Raises:
        Unavailable: Postgres is away. The carrier will tell it again.

    """
    sid, url = form.get("RecordingSid", ""), form.get("RecordingUrl", "")
    if not sid or not url:
        return
    try:
        async with runtime.sessions.begin() as session:
            await recordings.save(
                session,
                attempt_id,
                sid,
                url=url,
                status=form.get("RecordingStatus", ""),
                channels=number(form.get("RecordingChannels")),
                duration_seconds=number(form.get("RecordingDuration")),
            )
    except STORE_ERRORS as error:
        raise Unavailable("The database does not answer; tell it again.") from error

"""Resources as JSON, field for field as Twilio's API description has them."""

from typing import Any

from outdial_sandbox.carrier.call import Call
from outdial_sandbox.carrier.config import CarrierConfig
from outdial_sandbox.carrier.identifiers import formatted, rfc2822, sid_of
from outdial_sandbox.carrier.recording import Recording

_CALL_PARTS = {
    "events": "Events",
    "notifications": "Notifications",
    "payments": "Payments",
    "recordings": "Recordings",
    "siprec": "Siprec",
    "streams": "Streams",
    "transcriptions": "Transcriptions",
    "user_defined_message_subscriptions": "UserDefinedMessageSubscriptions",
    "user_defined_messages": "UserDefinedMessages",
}
_ACCOUNT_PARTS = {
    "calls": "Calls",
    "incoming_phone_numbers": "IncomingPhoneNumbers",
    "recordings": "Recordings",
    "balance": "Balance",
}


def call_resource(call: Call, config: CarrierConfig) -> dict[str, Any]:
    """`api.v2010.account.call`."""
    request = call.request
    path = f"{config.account_path}/Calls/{call.sid}"
    return {
        "sid": call.sid,
        "date_created": rfc2822(call.created_at),
        "date_updated": rfc2822(call.updated_at),
        "parent_call_sid": None,
        "account_sid": call.account_sid,
        "to": request.to,
        "to_formatted": formatted(request.to),
        "from": request.caller,
        "from_formatted": formatted(request.caller),
        "phone_number_sid": sid_of("PN", request.caller),
        "status": call.status,
        "start_time": rfc2822(call.dialed_at),
        "end_time": rfc2822(call.ended_at),
        "duration": str(call.seconds) if call.answered_at and call.over else None,
        "price": None,
        "price_unit": "USD",
        "direction": "outbound-api",
        "answered_by": call.answered_by,
        "api_version": "2010-04-01",
        "forwarded_from": None,
        "group_sid": None,
        "caller_name": None,
        "queue_time": str(call.queue_ms),
        "trunk_sid": None,
        "uri": f"{path}.json",
        "subresource_uris": {name: f"{path}/{part}.json" for name, part in _CALL_PARTS.items()},
    }


def recording_url(config: CarrierConfig, recording: Recording) -> str:
    """Where the audio is served; `.wav` may be appended."""
    return f"{config.public_url}{config.account_path}/Recordings/{recording.sid}"


def recording_resource(recording: Recording, config: CarrierConfig) -> dict[str, Any]:
    """`api.v2010.account.recording`."""
    path = f"{config.account_path}/Recordings/{recording.sid}"
    return _recording_fields(recording, config) | {
        "uri": f"{path}.json",
        "subresource_uris": {
            "add_on_results": f"{path}/AddOnResults.json",
            "transcriptions": f"{path}/Transcriptions.json",
        },
        "media_url": recording_url(config, recording),
    }


def call_recording_resource(recording: Recording, config: CarrierConfig) -> dict[str, Any]:
    """`api.v2010.account.call.call_recording`."""
    path = f"{config.account_path}/Calls/{recording.call_sid}/Recordings/{recording.sid}"
    return _recording_fields(recording, config) | {"track": "both", "uri": f"{path}.json"}


def _recording_fields(recording: Recording, config: CarrierConfig) -> dict[str, Any]:
    ended = recording.status != "in-progress"
    return {
        "account_sid": config.account_sid,
        "api_version": "2010-04-01",
        "call_sid": recording.call_sid,
        "conference_sid": None,
        "channels": recording.request.channels,
        "date_created": rfc2822(recording.started_at),
        "date_updated": rfc2822(recording.updated_at),
        "start_time": rfc2822(recording.started_at),
        "price": None,
        "price_unit": "USD",
        "duration": str(round(recording.seconds)) if ended else None,
        "sid": recording.sid,
        "source": recording.request.source,
        "status": recording.status,
        "error_code": None,
        "encryption_details": None,
    }


def account_resource(config: CarrierConfig, began_at: float) -> dict[str, Any]:
    """`api.v2010.account`."""
    path = config.account_path
    return {
        "auth_token": config.auth_token,
        "date_created": rfc2822(began_at),
        "date_updated": rfc2822(began_at),
        "friendly_name": "Outdial sandbox",
        "owner_account_sid": config.account_sid,
        "sid": config.account_sid,
        "status": "active",
        "subresource_uris": {name: f"{path}/{part}.json" for name, part in _ACCOUNT_PARTS.items()},
        "type": "Full",
        "uri": f"{path}.json",
    }


def number_resource(number: str, config: CarrierConfig, began_at: float) -> dict[str, Any]:
    """`api.v2010.account.incoming_phone_number`."""
    sid = sid_of("PN", number)
    return {
        "account_sid": config.account_sid,
        "address_requirements": "none",
        "address_sid": None,
        "api_version": "2010-04-01",
        "beta": False,
        "bundle_sid": None,
        "capabilities": {"voice": True, "sms": False, "mms": False, "fax": False},
        "date_created": rfc2822(began_at),
        "date_updated": rfc2822(began_at),
        "emergency_address_sid": None,
        "emergency_address_status": "unregistered",
        "emergency_status": "Inactive",
        "friendly_name": formatted(number),
        "identity_sid": None,
        "origin": "twilio",
        "phone_number": number,
        "sid": sid,
        "sms_application_sid": "",
        "sms_fallback_method": "POST",
        "sms_fallback_url": "",
        "sms_method": "POST",
        "sms_url": "",
        "status": "in-use",
        "status_callback": "",
        "status_callback_method": "POST",
        "trunk_sid": None,
        "type": "local",
        "uri": f"{config.account_path}/IncomingPhoneNumbers/{sid}.json",
        "voice_application_sid": "",
        "voice_caller_id_lookup": False,
        "voice_fallback_method": "POST",
        "voice_fallback_url": "",
        "voice_method": "POST",
        "voice_receive_mode": "voice",
        "voice_url": "",
    }

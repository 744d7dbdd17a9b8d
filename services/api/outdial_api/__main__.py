"""`python -m outdial_api`: the gateway as a process, configured by the environment."""

import sys

import uvicorn

from outdial.observability.logs import set_up_logs
from outdial.observability.trace_setup import TracesError, open_traces
from outdial.settings import SettingsError, load_settings
from outdial.thread_switches import switch_threads_often
from outdial_api.app import create_app


def main() -> int:
    """Serve until a signal; 2 if the settings cannot be used."""
    try:
        settings = load_settings("api")
        open_traces("api")
    except (SettingsError, TracesError) as error:
        print(error, file=sys.stderr)
        return 2
    set_up_logs(settings)
    switch_threads_often()
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,  # paths hold ids, and queries of Twilio's requests hold numbers
        timeout_graceful_shutdown=10,
        server_header=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

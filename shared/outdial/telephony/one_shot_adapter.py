"""How `requests` connects to the carrier: anew for each request, with certificates read once."""

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any

from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.util.ssl_ import create_urllib3_context

from outdial.telephony.departing_connection import DepartingConnection, SecureDepartingConnection


class NoAuthorities(RequestException):
    """Nobody can say whom to trust, so nothing is sent."""


class OneShotAdapter(HTTPAdapter):
    """No connection is used twice; those over TLS share what they trust.

    Upstream (requests 2.34 over urllib3 2.8) reads the whole bundle of authorities for each
    connection: 16 ms of a core, as much as all else that a worker does for a call.
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As ever, of our connections."""
        super().init_poolmanager(*args, **kwargs)
        _use_our_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> ProxyManager:
        """As ever, of our connections."""
        manager: ProxyManager = super().proxy_manager_for(*args, **kwargs)
        _use_our_pools(manager)
        return manager

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """As ever; the context trusts `verify`: True, or a file or folder of authorities."""
        host, tls = super().build_connection_pool_key_attributes(request, verify, cert)
        if verify and host["scheme"] == "https":
            tls = {name: value for name, value in tls.items() if name not in _TRUST}
            tls["ssl_context"] = _trusting(
                DEFAULT_CA_BUNDLE_PATH if verify is True else str(verify)
            )
        return host, tls

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The context knows whom to trust; upstream would have it read again."""
        if not verify:
            super().cert_verify(conn, url, verify, cert)


_TRUST = frozenset({"ca_certs", "ca_cert_dir"})


@lru_cache(maxsize=8)
def _trusting(authorities: str) -> ssl.SSLContext:
    """A context that checks certificates and host names.

    Raises:
        NoAuthorities: there are none at this path.

    """
    context = create_urllib3_context()
    is_folder = Path(authorities).is_dir()
    try:
        context.load_verify_locations(**{"capath" if is_folder else "cafile": authorities})
    except OSError as error:
        raise NoAuthorities(f"no certificates to trust in {authorities}: {error}") from error
    return context


class _NothingIsKept(HTTPConnectionPool):
    """A carrier that is asked to close a connection should say that it does; not every one does.

    Kept, it would be used for the next call, whose outcome were in doubt if it closed just then.
    """

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.close()
        super()._put_conn(None)


class _Pool(_NothingIsKept):
    ConnectionCls = DepartingConnection


class _SecurePool(_NothingIsKept, HTTPSConnectionPool):
    ConnectionCls = SecureDepartingConnection


def _use_our_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

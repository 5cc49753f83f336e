"""TLS: which authority a broker must show, who we are there, what a refused handshake says; and the page's own."""

import ssl
from pathlib import Path

from edge.core.errors import SettingsError
from edge.sections import Broker, Web


def context(broker: Broker) -> ssl.SSLContext:
    """Return what a connection is made with: TLS 1.2 at least, authority and host name checked.

    Raises SettingsError where a file that is named cannot be used.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks authority and host name
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if broker.tls_ca is None:
        made.load_default_certs()
    else:
        try:
            made.load_verify_locations(broker.tls_ca)
        except OSError as error:
            raise _unusable("broker.tls_ca", broker.tls_ca, error) from error
    if broker.tls_cert is not None:
        _show(made, broker, "broker")
    return made


def serving(web: Web) -> ssl.SSLContext | None:
    """Return what the page is served with, None where it is served without TLS; raises SettingsError."""
    if web.tls_cert is None:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    _show(made, web, "web")
    return made


def told(error: BaseException | None, broker: Broker) -> str:
    """Say why no connection came about, with what may mend it where TLS is the reason."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not believed: {error.verify_message} (broker.tls_ca? the name in broker.url?)"
    if isinstance(error, ssl.SSLError) or (broker.tls and isinstance(error, ConnectionResetError)):
        return f"no TLS there ({error}): is the port in broker.url that of a listener with TLS?"
    return (error.strerror or str(error)) if isinstance(error, OSError) else "failed"


def hint(broker: Broker) -> str:
    """Say what a broker that hangs up before it answers may want."""
    if not broker.tls:
        return "; does it want TLS? then broker.url is mqtts://..."
    return "; does it want a certificate of ours? then set broker.tls_cert" if broker.tls_cert is None else ""


def _show(made: ssl.SSLContext, section: Broker | Web, name: str) -> None:
    """Show our certificate; raises SettingsError."""
    assert section.tls_cert is not None
    try:
        made.load_cert_chain(section.tls_cert, section.tls_key, password="")  # nobody is there to type one
    except OSError as error:
        raise _unusable(f"{name}.tls_cert and tls_key", section.tls_cert, error) from error


def _unusable(key: str, path: Path, error: OSError) -> SettingsError:
    why = "not in PEM form, or key and certificate are no pair" if isinstance(error, ssl.SSLError) else error.strerror
    return SettingsError(f"{key}: {path}: {why}")

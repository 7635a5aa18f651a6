"""The one spelling of an e-mail address in which it is stored, searched for and mailed to."""

from chatapi.ui.host_names import to_a_labels


def normal_address(address: str) -> str:
    """Returns the address in lower case, a non-ASCII domain in A-labels.

    `Ann@Straße.example` becomes `ann@xn--strae-oqa.example`: IDNA 2008 with UTS 46, as in URLs. Django's mail uses
    IDNA 2003, which sends mail for `straße.example` to `strasse.example`, another domain. Text that is no address stays
    as it is, for the validators.
    """
    local, at, domain = address.strip().lower().rpartition("@")
    if domain.isascii():
        return f"{local}{at}{domain}"
    try:
        return f"{local}{at}{to_a_labels(domain)}"
    except ValueError:
        return f"{local}{at}{domain}"

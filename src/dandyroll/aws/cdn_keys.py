"""The keys that the CDN's URLs are signed with: made here, kept in Parameter Store.

The private half never leaves it but for the function that signs; the public half is a parameter of
the template. Changing keys: docs/operations.md.
"""

from collections.abc import Mapping
from contextlib import suppress

from dandyroll.aws.cdn import KEYS, Distribution, load_private_key, read_parameter
from dandyroll.aws.cloud import Cloud
from dandyroll.aws.stack import CloudError, operators_errors, stack_parameters

PARAMETERS: Mapping[str, str] = {"key-a": "CdnKeyA", "key-b": "CdnKeyB"}
"""The template's parameter for each of `cdn.KEYS`."""


def place(stack: str) -> str:
    """Where in Parameter Store a stack's CDN is told of, as the template has it too."""
    return f"/dandyroll/{stack}/cdn"


def ensure_key(cloud: Cloud, stack: str, key: str) -> str:
    """The value of the key's template parameter; the key is made where there is none.

    Of several at once, all get the same. Raises `CloudError`.
    """
    store, name = cloud.client("ssm"), f"{place(stack)}/{_known(key)}"
    with operators_errors():
        with suppress(store.exceptions.ParameterAlreadyExists):
            store.put_parameter(
                Name=name,
                Value=_new_private_key(),
                Type="SecureString",
                Description="Signs the URLs of Dandyroll's CDN",
                Overwrite=False,
            )
        pem = read_parameter(store, name)
    try:
        return _public_half(pem or "")
    except ValueError as error:
        raise CloudError(f"{name}: {error}") from error


def drop_key(cloud: Cloud, stack: str, key: str) -> bool:
    """Delete the private half; whether there was one.

    `CloudError` for one that signs now, or that the stack still trusts.
    """
    store, given = cloud.client("ssm"), stack_parameters(stack, cloud) or {}
    signs_with = given.get("Cdn", "off")
    if signs_with == _known(key):
        raise CloudError(f"{key} signs the URLs now; deploy with Cdn={_other(key)} before.")
    if signs_with != "off" and given.get(PARAMETERS[key]):
        raise CloudError(f"{stack} still trusts {key}: deploy with {PARAMETERS[key]}= before.")
    with operators_errors():
        told = read_parameter(store, f"{place(stack)}/distribution")
        if told and Distribution.from_json(told).key == _known(key):
            raise CloudError(f"{key} signs the URLs now; deploy with Cdn={_other(key)} before.")
        gone = store.delete_parameters(Names=[f"{place(stack)}/{_known(key)}"])
    return bool(gone["DeletedParameters"])


def _known(key: str) -> str:
    if key not in KEYS:
        raise CloudError(f"Expected {' or '.join(KEYS)}; got {key!r}.")
    return key


def _other(key: str) -> str:
    return next(name for name in KEYS if name != key)


def _new_private_key() -> str:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _public_half(private: str) -> str:
    """The lines of its PEM between the first and the last, with commas for line ends: one line,
    as a template's parameter is given in a shell."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = load_private_key(private).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return ",".join(pem.strip().splitlines()[1:-1])

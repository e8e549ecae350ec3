"""Secrets of vaults: looked up for whoever asks a setting for its text, and read anew when one was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel

from cloudsync_pipeline.config.deferred import Reference, Vault, resolve_with, secrets_of
from cloudsync_pipeline.config.secrets import selected

if TYPE_CHECKING:
    from cloudsync_pipeline.vaults.aws import AwsSecrets

TRUSTED_FOR = 60.0
"""Seconds after its reading in which a secret is used without a look whether it is still accepted."""

_vaults: dict[Vault, AwsSecrets] = {}


def look_up(reference: Reference) -> str:
    """The secret's text; errors are those of `AwsSecrets.get`."""
    text = _vault(reference.vault).get(reference.name)
    return selected(text, reference.name, reference.field)


def aged(section: BaseModel) -> bool:
    """Whether a section uses a secret that was read some time ago, so that it may have been rotated since."""
    return any(_vault(one.vault).age(one.name) > TRUSTED_FOR for one in _references(section))


def renewed(section: BaseModel) -> bool:
    """Read a section's secrets anew; whether one of them has changed.

    Raises:
        RemoteError: the vault cannot be asked.
    """
    changed = False
    for one in _references(section):
        vault = _vault(one.vault)
        before = vault.get(one.name)
        changed |= vault.get(one.name, fresh=True) != before
    return changed


def forget(section: BaseModel) -> None:
    """A login was refused: whoever needs a section's secrets next asks for them."""
    for one in _references(section):
        _vault(one.vault).forget(one.name)


def _references(section: BaseModel) -> list[Reference]:
    return [reference for secret in secrets_of(section) for reference in secret.references]


def _vault(vault: Vault) -> AwsSecrets:
    from cloudsync_pipeline.vaults.aws import AwsSecrets

    if vault not in _vaults:
        _vaults[vault] = AwsSecrets(region=vault.region, endpoint=vault.endpoint, prefix=vault.prefix, ttl=vault.ttl)
    return _vaults[vault]


resolve_with(look_up)

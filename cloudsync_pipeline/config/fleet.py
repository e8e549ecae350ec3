"""All that is configured: the settings of the fleet, its integrations, and those that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cloudsync_pipeline.config import environment
from cloudsync_pipeline.config.deferred import Deferred, DeferredSecrets, Vault, misplaced
from cloudsync_pipeline.config.document import Document, fill_references, merge, read_document
from cloudsync_pipeline.config.explain import explain, nearest
from cloudsync_pipeline.config.fields import Section
from cloudsync_pipeline.config.integration import IntegrationConfig
from cloudsync_pipeline.config.overlaps import find_overlaps
from cloudsync_pipeline.config.secrets import FileSecrets, Secrets
from cloudsync_pipeline.config.settings import Defaults, SecretsSettings, Settings
from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.core.names import check_name

FILE_NAME = "cloudsync.yaml"
FILE_VARIABLE = "CLOUDSYNC_CONFIG"
_ENDINGS = {".yaml", ".yml"}
_SECTIONS = frozenset(IntegrationConfig.model_fields) - {"name"}


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is configured.

    Attributes:
        settings: what holds for all.
        integrations: those that can be used, by name, in order.
        errors: those that cannot, by the name of their file, with the reason.
        file: the main file; None where environment variables describe one integration.
    """

    settings: Settings
    integrations: dict[str, IntegrationConfig] = field(default_factory=dict)
    errors: dict[str, ConfigError] = field(default_factory=dict)
    file: Path | None = None

    def integration(self, name: str) -> IntegrationConfig:
        """One integration.

        Raises:
            ConfigError: its own, or that there is none of this name.
        """
        if name in self.integrations:
            return self.integrations[name]
        if name in self.errors:
            raise self.errors[name]
        known = sorted({*self.integrations, *self.errors})
        near = nearest(name, known)
        if near:
            remedy = f"Did you mean {near!r}?"
        elif known:
            remedy = f"Known are {', '.join(known[:20])}{', ...' if len(known) > 20 else ''}."
        else:
            remedy = f"None is configured: add a file {self.settings.integrations_folder / (name + '.yaml')}."
        raise ConfigError(f"there is no integration {name!r}.", remedy=remedy)


def load_fleet(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Fleet:
    """Read what is configured. Touches files only, no network: quick enough for every tick of a sensor.

    Args:
        path: the main file; by default the one that CLOUDSYNC_CONFIG names, else `cloudsync.yaml` in the working
            directory where there is one, else the environment describes one integration.
        environ: environment variables; by default the process's own.

    Raises:
        ConfigError: the main file or the environment cannot be used. An integration's file that cannot be used
            is found in `Fleet.errors` instead.
    """
    environ = os.environ if environ is None else environ
    if path is None and (named := environ.get(FILE_VARIABLE)):
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigError(
                f"{FILE_VARIABLE} names {path}, and there is no such file.", remedy=f"Correct {FILE_VARIABLE}."
            )
    if path is None and Path(FILE_NAME).is_file():
        path = Path(FILE_NAME)
    if path is None:
        return _from_environment(environ)
    return _from_files(path.absolute(), environ)


def _from_files(file: Path, environ: Mapping[str, str]) -> Fleet:
    document = read_document(file)
    if misplaced := sorted(_SECTIONS & document.content.keys()):
        raise ConfigError(
            f"{document.label}: {', '.join(misplaced)}: a key of integrations.",
            remedy=f"Put it under `defaults:` for all, or into {file.parent / 'integrations' / '<name>.yaml'} for one.",
        )
    secrets = _secrets(document, environ)
    main = fill_references(document, environ, secrets)
    settings = _settings(main, document, file.parent)
    defaults = main.get("defaults") or {}
    integrations: dict[str, IntegrationConfig] = {}
    errors: dict[str, ConfigError] = {}
    for name, source in _integration_files(settings.integrations_folder, errors).items():
        try:
            check_name(name)
            own = read_document(source)
            content = fill_references(own, environ, secrets)
            sources = [(own, ()), (document, ("defaults",))]
            integrations[name] = _integration(name, merge(defaults, content), settings, sources, file.parent)
        except ConfigError as error:
            errors[name] = _of(name, error, source)
    return _without_overlaps(Fleet(settings, integrations, errors, file))


def _from_environment(environ: Mapping[str, str]) -> Fleet:
    name = environment.integration_name(environ)
    document = environment.settings_document(environ)
    own = environment.integration_document(environ, looked_for=str(Path(FILE_NAME).absolute()))
    settings = _settings(fill_references(document, environ, None), document, Path.cwd())
    content = fill_references(own, environ, None)
    return Fleet(settings, {name: _integration(name, content, settings, [(own, ())], Path.cwd())})


def _secrets(document: Document, environ: Mapping[str, str]) -> Secrets:
    """The backend is itself configured, so its section is read before the others, and without secrets."""
    section = Document(document.label, {"secrets": document.content.get("secrets") or {}})
    content = fill_references(section, environ, None)["secrets"]
    folder = Path(document.label).parent
    try:
        settings = SecretsSettings.model_validate(content, context={"folder": folder})
    except ValidationError as error:
        raise explain(error, SecretsSettings, [(document, ("secrets",))]) from None
    if settings.type == "aws":
        return DeferredSecrets(Vault(settings.region, settings.endpoint, settings.prefix, settings.ttl))
    return FileSecrets(settings.folder)


def _settings(content: dict[str, Any], document: Document, folder: Path) -> Settings:
    # A section made by its own default would not learn the folder from which its places count.
    sections: dict[str, Any] = {"database": {}, "logging": {}, "api": {}, "secrets": {}}
    try:
        settings = Settings.model_validate(sections | content, context={"folder": folder})
    except ValidationError as error:
        raise explain(error, Settings, [(document, ())]) from None
    # What integrations inherit is looked at where they are.
    _only_in_secrets(settings.model_copy(update={"defaults": Defaults()}), document)
    return settings


def _integration(
    name: str,
    content: dict[str, Any],
    settings: Settings,
    sources: list[tuple[Document, tuple[str, ...]]],
    folder: Path,
) -> IntegrationConfig:
    if "name" in content:
        raise ConfigError(
            f"{sources[0][0].label}: name: an integration is named by its file.", remedy="Remove this key."
        )
    try:
        config = IntegrationConfig.model_validate(
            {"name": name, **_under_api(content, settings)}, context={"folder": folder}
        )
    except ValidationError as error:
        raise explain(error, IntegrationConfig, sources, integration=name) from None
    _only_in_secrets(config, sources[0][0])
    return config


def _only_in_secrets(section: Section, document: Document) -> None:
    """A vault is asked when a secret is used; what is no secret is needed before."""
    if key := misplaced(section):
        raise ConfigError(
            f"{document.label}: {key}: a secret of Secrets Manager can stand only where a secret belongs.",
            remedy="Write the value itself, or take it from the environment: `${NAME}`.",
        )


def _under_api(content: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """What `api` says, where the integration says nothing."""
    api, filled = settings.api, dict(content)
    if "file_manager" not in filled and api.endpoints.file_manager:
        filled["file_manager"] = {"type": "http_api"}
    file_manager = filled.get("file_manager")
    if isinstance(file_manager, dict) and file_manager.get("type") == "http_api":
        reporting = api.endpoints.reporting
        inherited = {
            "url": api.endpoints.file_manager,
            "reporting_url": reporting.as_written if isinstance(reporting, Deferred) else reporting,
            "timeout": api.timeout,
        }
        filled["file_manager"] = {key: value for key, value in inherited.items() if value is not None} | file_manager
    sync = filled.get("sync", {})
    if isinstance(sync, dict):
        filled["sync"] = {"retry_attempts": api.retry_attempts} | sync
    return filled


def _integration_files(folder: Path, errors: dict[str, ConfigError]) -> dict[str, Path]:
    """Files by the names they give to integrations; two files of one name are an error of that integration."""
    try:
        files = sorted(one for one in folder.iterdir() if one.suffix in _ENDINGS and not one.name.startswith("."))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(
            f"the folder of integrations {folder} cannot be read: {error.strerror}.",
            remedy="Make it a folder that this process may read, or set `integrations_folder`.",
        ) from error
    found: dict[str, Path] = {}
    for file in files:
        if file.stem in found:
            errors[file.stem] = ConfigError(
                f"it is described twice, by {found[file.stem]} and by {file}.",
                integration=file.stem,
                remedy="Remove one of them.",
            )
        found[file.stem] = file
    return {name: file for name, file in found.items() if name not in errors}


def _of(name: str, error: ConfigError, source: Path) -> ConfigError:
    """The error as one of this integration, naming its file."""
    message = error.message if str(source) in error.message or error.integration else f"{source}: {error.message}"
    return ConfigError(message, integration=name, remedy=error.remedy)


def _without_overlaps(fleet: Fleet) -> Fleet:
    overlaps = find_overlaps(fleet.integrations)
    usable = {name: one for name, one in fleet.integrations.items() if name not in overlaps}
    return Fleet(fleet.settings, usable, fleet.errors | overlaps, fleet.file)

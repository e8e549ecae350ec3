"""Which scope a route takes, for the framework to enforce and to document."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from cloudsync_pipeline.api.gate import CALLER
from cloudsync_pipeline.api.keys import Caller
from cloudsync_pipeline.api.problems import Problem
from cloudsync_pipeline.api.world import World
from cloudsync_pipeline.config.keys import ApiScope

_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="A key whose hash is configured under `api.keys`; `cloudsync api-key` makes one.",
)
_Sent = Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]


class _Needs:
    def __init__(self, scope: ApiScope) -> None:
        self._scope: ApiScope = scope

    def __call__(self, request: Request, _: _Sent = None) -> Caller:
        caller: Caller = request.scope[CALLER]
        if caller.may(self._scope):
            return caller
        raise Problem(
            403,
            "forbidden",
            f"The key {caller.name!r} has not the scope {self._scope!r}.",
            remedy=f"Give it the scope under `api.keys`, or use a key that has it. It has: {', '.join(caller.scopes)}.",
        )


Reader = Annotated[Caller, Depends(_Needs("read"))]
Syncer = Annotated[Caller, Depends(_Needs("sync"))]
Admin = Annotated[Caller, Depends(_Needs("admin"))]


def _world(request: Request) -> World:
    world: World = request.app.state.world
    return world


Served = Annotated[World, Depends(_world)]

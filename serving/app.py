"""The ASGI application: routes, middleware, and what happens at start and end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Route

from serving.errors import InvalidRequest, MalformedBody, MethodNotAllowed, NotFound, ServiceError, problem_of
from serving.middleware.access import Access
from serving.middleware.body import BodyLimit
from serving.middleware.request import Requests
from serving.openapi import describe
from serving.replies import problem_response
from serving.routes import admin, classify, health, inference, labels
from serving.service import Service
from serving.validation import explained

API_VERSION = "1"
_ROUTERS = tuple(module.router for module in (classify, labels, health, inference, admin))
_ABOUT = "Reads Chinese customer complaints: cause, motive, severity, style, and what to do next."


def bare_app() -> FastAPI:
    """Routes and their documentation, without a service behind them."""
    app = FastAPI(
        title="kesu", version=API_VERSION, summary=_ABOUT, lifespan=_lifespan, redoc_url=None, redirect_slashes=False
    )
    for router in _ROUTERS:
        app.include_router(router)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.openapi = describe(app)  # type: ignore[method-assign]
    return app


def create_app(service: Service) -> FastAPI:
    """The application around ``service``, whose workers it starts."""
    app = bare_app()
    app.state.service = service
    settings = service.settings
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, limit=settings.body_bytes, seconds=settings.body_seconds)
    app.add_middleware(Access, guard=service.guard)
    paths = frozenset(route.path for router in _ROUTERS for route in router.routes if isinstance(route, Route))
    app.add_middleware(Requests, log=service.log, metrics=service.metrics, paths=paths, most=settings.connections)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    service.batcher.start()
    reloads: set[asyncio.Task[Any]] = set()

    def hang_up() -> None:
        task = asyncio.ensure_future(_reload(service))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    # Signals can be had only in the main thread, and SIGHUP not on every system.
    with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hang_up)
    service.log.info("started", **service.identity())
    yield
    service.draining = True
    for task in reloads:
        task.cancel()
    service.batcher.close()
    service.log.info("stopped")


async def _reload(service: Service) -> None:
    # What went wrong is in the log and the metrics; nobody else asked.
    with contextlib.suppress(ServiceError):
        await service.reload()


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(problem_of(explained(error.errors())), request.scope)


async def _refused(request: Request, error: Exception) -> Response:
    """Starlette's own refusals in the documented form."""
    assert isinstance(error, HTTPException)
    kinds: dict[int, ServiceError] = {
        400: MalformedBody("the body cannot be read"),
        404: NotFound("no such path; /docs lists them"),
        405: MethodNotAllowed("this path does not take this method; /docs lists them"),
    }
    problem = problem_of(kinds.get(error.status_code, InvalidRequest(str(error.detail))))
    response = problem_response(problem, request.scope)
    response.headers.update(error.headers or {})
    return response

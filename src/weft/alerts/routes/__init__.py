"""The routes of rules, alerts and silences, one file per noun. `router` holds them all."""

from fastapi import APIRouter

from weft.alerts.routes import alerts, rules, silences

router = APIRouter()
for part in (rules, alerts, silences):
    router.include_router(part.router)

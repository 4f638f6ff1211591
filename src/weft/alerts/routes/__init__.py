"""The routes of rules, alerts and silences, and of trying rules out, one file per noun. `router` holds them all."""

from fastapi import APIRouter

from weft.alerts.routes import alerts, rule_files, rules, silences, trials

router = APIRouter()
for part in (rule_files, trials, rules, alerts, silences):  # `export` before the rule of that name
    router.include_router(part.router)

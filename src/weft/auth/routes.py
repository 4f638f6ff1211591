"""Every route of the auth room. Together with the `…_routes.py` files it lists, the only place that knows HTTP."""

from fastapi import APIRouter

from weft.auth import account_routes, admin_routes, key_routes, login_routes, session_routes

router = APIRouter()
for part in (login_routes, session_routes, account_routes, admin_routes, key_routes):
    router.include_router(part.router)

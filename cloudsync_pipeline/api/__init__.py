"""The REST API, health and metrics, over HTTP.

Who calls is known by a key (`keys`), what a call may cost is bounded (`gate`, `bodies`), and every error is a problem
document (`problems`). Lists of the fleet come from the control database, answers about one integration from its lake,
both read in threads. Importing this is cheap: FastAPI comes with `server` and `app`.
"""

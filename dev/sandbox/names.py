"""Names for the synthetic world: commas, quotes and letters beyond ASCII on purpose."""

_APIS = (
    "Orders",
    "Orders",
    "Payments, Refunds",
    'Catalogue "Classic"',
    "Größenberater",
    "配送追跡",
    "Café Menü",
    "Inventory",
    "Customer's Profile",
    "Цены",
    "Shipping \\ Rates",
    "Loyalty & Points",
)
_APPLICATIONS = (
    "Web Shop",
    'Mobile "Lite", Android',
    "Müller & Söhne",
    "在庫アプリ",
    "Partner's Portal",
    "Kiosk, Ground Floor",
    "Back Office",
)
OWNERS = ("anna", "o'neil", "josé@example.com", "partner, external")
PROJECTS = ("Payments", "Logistics")
PROVIDERS = ("admin", "anna.müller@example.com", "platform-team")
RESOURCES = (
    ("GET", "/items"),
    ("GET", "/items/{id}"),
    ("POST", "/items"),
    ("PUT", "/items/{id}"),
    ("DELETE", "/items/{id}"),
    ("GET", "/search?q={text},{page}"),
    ("POST", '/notes/{"key"}'),
    ("GET", "/größe/{id}"),
    # The service gives an empty method and template where it knows none.
    ("", ""),
)
PLATFORMS = (
    "Linux",
    "Windows 11",
    "macOS",
    "Android",
    "iOS",
    "ChromeOS",
    "FreeBSD",
    "Windows 10",
    "tvOS",
    "Tizen",
    "HarmonyOS",
    "Unknown",
)
USER_AGENTS = (
    "Chrome",
    "Firefox",
    "Safari",
    "Edge",
    "okhttp",
    "curl",
    "python-requests",
    "Go-http-client",
    "Apache-HttpClient",
    "PostmanRuntime",
    "axios, browser",
    "Opera",
    "Unknown",
)
COUNTRIES = (
    "Switzerland",
    "Sri Lanka",
    "Côte d'Ivoire",
    "United States",
    "Korea, Republic of",
    "Brazil",
    "Germany",
    "Japan",
)


def api(index: int) -> tuple[str, str]:
    """Name and version of the API of this number; the first two are versions of one API."""
    turn, place = divmod(index, len(_APIS))
    name = _APIS[place] if turn == 0 else f"{_APIS[place]} {turn + 1}"
    return name, "2.0.0" if place == 1 else ("v1" if place % 5 == 3 else "1.0.0")


def application(index: int) -> str:
    """Name of the application of this number."""
    turn, place = divmod(index, len(_APPLICATIONS))
    return _APPLICATIONS[place] if turn == 0 else f"{_APPLICATIONS[place]} {turn + 1}"

"""The drawings: what imports what, and the way of a request."""

from collections.abc import Sequence
from html import escape

from tools.reference.layers import PLACE, Arrow, Rows, places, reduced, rows
from tools.reference.markup import Facts
from tools.reference.sources import wanted

WIDTH, BOX, HEIGHT, STEP = 420, 90, 26, 54
"""In pixels: of the drawing, of a box, and between the tops of two rows. Small enough for a phone."""
HEAD = 30

STYLE = """\
text{font:12px system-ui,sans-serif;fill:#1f2937}.c{text-anchor:middle}.b{font-weight:600}.s{font-size:11px;fill:#4b5563}
.band{fill:#f3f4f6}.box{fill:#fff;stroke:#4f46e5}.optional{stroke-dasharray:4 3}.arrow{fill:none;stroke:#6b7280}
.wide{stroke:#4f46e5;stroke-width:2}"""
MARKERS = """\
<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">\
<path d="M0 0 8 4 0 8z" fill="#6b7280"/></marker></defs>"""

FOLDERS = {
    "entry": ("Entry points, composition, list of features", "app"),
    "features": ("Features", "app/features"),
    "core": ("Core", "app/core"),
}
"""Title and folder of each band."""
MODULES = "modules"
"""Those of `app.core`, in one box below its packages."""

SAID = {
    "Carrying": "starts a context: correlation id, address, no user yet",
    "Responses": "adds headers, compresses, measures, logs one line",
    "CORS": "lets pages of other origins call, if configured",
    "ReadAfterWrite": "reads from the primary after a write (with replicas)",
    "ErrorBoundary": "turns exceptions into problems; sets the time limit",
    "KnownHosts": "rejects unknown host names (ALLOWED_HOSTS)",
    "BodyLimit": "rejects bodies that are too large",
    "GeneralMethods": "answers HEAD and OPTIONS",
}
"""What each middleware does, in a few words."""
INSIDE = [
    ("Router", "finds the endpoint; authenticates and counts the caller"),
    ("Dependencies", "check permission and schema, start the transaction"),
    ("Endpoint → service → repository", "the work: rules first, then SQL"),
    ("Commit", "before the response is sent; then jobs may start"),
]
"""What happens in the application, after all middleware."""


def drawing(title: str, height: int, parts: Sequence[str]) -> str:
    """An image, on a ground of its own, so that it is legible in the light and in the dark."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
            f"<title>{escape(title)}</title><style>{STYLE}</style>{MARKERS}",
            f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#fff"/>',
            *parts,
            "</svg>\n",
        ]
    )


def text(x: float, y: float, said: str, kind: str) -> str:
    """A line of text."""
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(said)}</text>'


def box(x: float, y: float, name: str, *, optional: bool, width: float = BOX) -> str:
    """A named box, by the middle of its top."""
    kind = "box optional" if optional else "box"
    shape = f'<rect x="{x - width / 2:g}" y="{y:g}" width="{width:g}" height="{HEIGHT}" rx="5" class="{kind}"/>'
    return shape + text(x, y + 17, name, "c")


def arrow(x: float, y: float, to: float, below: float, kind: str = "arrow") -> str:
    """A line that points down; one that ends at the place of an arrow has no head."""
    half, head = (y + below) / 2, "" if kind == "arrow pass" else ' marker-end="url(#a)"'
    return f'<path d="M{x:g} {y:g}C{x:g} {half:g} {to:g} {half:g} {to:g} {below:g}" class="{kind}"{head}/>'


def band(
    top: int, title: str, made: Rows, arrows: list[Arrow], optional: set[str]
) -> tuple[list[str], int]:
    """A band of boxes, and where it ends."""
    inner = WIDTH - 16
    end = top + HEAD + (len(made) - 1) * STEP + HEIGHT + 14
    at = {
        name: (12 + (inner - 8) * x, top + HEAD + row * STEP)
        for name, (x, row) in places(made).items()
    }
    parts = [
        f'<rect x="8" y="{top}" width="{inner}" height="{end - top}" rx="6" class="band"/>',
        text(18, top + 19, title, "b"),
    ]
    for one, other in arrows:
        (x, y), (to, below) = at[one], at[other]
        passed = other.startswith(PLACE)
        kind = "arrow pass" if passed else "arrow"
        parts.append(arrow(x, y + HEIGHT, to, below if passed else below - 1, kind))
        if passed:
            parts.append(arrow(to, below, to, below + HEIGHT, kind))
    wide = {MODULES: inner - 20.0}
    labels = {MODULES: "settings, errors, events, routing, middleware, …"}
    parts += [
        box(x, y, labels.get(name, name), optional=name in optional, width=wide.get(name, BOX))
        for name, (x, y) in at.items()
        if not name.startswith(PLACE)
    ]
    return parts, end


def bands(facts: Facts) -> list[tuple[str, str, Rows, list[Arrow]]]:
    """Title, folder, rows and arrows of each band."""
    made: list[tuple[str, str, Rows, list[Arrow]]] = []
    for part, (title, folder) in FOLDERS.items():
        drawn = facts["drawn"][part]
        between = reduced([(one, other) for one, other in drawn["arrows"]])
        tied = {name for each in between for name in each}
        alone = [name for name in drawn["names"] if name not in tied]
        tiers, arrows = rows(sorted(tied), between)
        ends = [MODULES] if part == "core" else []
        made.append((title, folder, [row for row in (alone, *tiers, ends) if row], arrows))
    return made


def imports(facts: Facts) -> str:
    """What imports what."""
    parts: list[str] = []
    top = 8
    for number, (title, folder, made, arrows) in enumerate(bands(facts)):
        if number:
            parts.append(arrow(WIDTH / 2, top, WIDTH / 2, top + 22, "arrow wide"))
            top += 24
        names = {name for row in made for name in row}
        optional = {
            name for name in names if wanted(f"{folder}/{name}") or wanted(f"{folder}/{name}.py")
        }
        drawn, top = band(top, title, made, arrows, optional)
        parts += drawn
    parts.append(text(18, top + 18, "Arrow: imports. Dashed: only with an option.", "s"))
    parts.append(text(18, top + 33, "Imports implied by others are left out.", "s"))
    return drawing("What imports what", top + 44, parts)


def request(facts: Facts) -> str:
    """The way of a request."""
    steps = [(name, SAID[name]) for name in facts["drawn"]["middleware"]]
    parts: list[str] = []
    height, left = 40, 30
    top = 30
    for title, inner in (("Middleware", steps), ("Application", INSIDE)):
        end = top + 24 + len(inner) * (height + 4) + 4
        parts.append(
            f'<rect x="{left}" y="{top}" width="{WIDTH - 60}" height="{end - top}" rx="6" class="band"/>'
        )
        parts.append(text(left + 10, top + 17, title, "b"))
        for number, (name, said) in enumerate(inner):
            y = top + 24 + number * (height + 4)
            parts.append(
                f'<rect x="{left + 8}" y="{y}" width="{WIDTH - 76}" height="{height}" rx="5" class="box"/>'
            )
            parts.append(text(left + 18, y + 16, name, "b"))
            parts.append(text(left + 18, y + 32, said, "s"))
        top = end + 8
    parts.append(f'<path d="M15 24V{top - 12}" class="arrow wide" marker-end="url(#a)"/>')
    parts.append(f'<path d="M{WIDTH - 15} {top - 12}V26" class="arrow wide" marker-end="url(#a)"/>')
    parts.append(text(8, 17, "request", "s"))
    parts.append(f'<text x="{WIDTH - 8}" y="17" class="s" text-anchor="end">response</text>')
    return drawing("How a request passes through the service", top + 4, parts)


def drawings(facts: Facts) -> dict[str, str]:
    """All drawings, by file name."""
    return {"imports.svg": imports(facts), "request.svg": request(facts)}

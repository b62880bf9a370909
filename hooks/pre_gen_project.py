"""Refuse bad answers and a folder that is in use, before a file is written, for every caller."""

import json
import sys
from pathlib import Path

answers = json.loads(r"""{{ cookiecutter | tojson }}""")
found = json.loads(r"""{{ cookiecutter | faults | tojson }}""")
if any(path.name != ".git" for path in Path.cwd().iterdir()):
    found.append(f"{Path.cwd()} {answers['_in_use']}")
if found:
    sys.exit("\n".join(found))

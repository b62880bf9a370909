"""Refuse answers that break a rule of `_validators` in `cookiecutter.json`, before a file is written."""

import json
import re
import sys

answers = json.loads(r"""{{ cookiecutter | tojson }}""")
faults = [
    f"{name}: {rule['message']}"
    for name, rule in answers["_validators"].items()
    if not re.search(rule["pattern"], answers[name])
]
if faults:
    sys.exit("\n".join(faults))

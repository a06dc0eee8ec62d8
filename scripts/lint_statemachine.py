"""Lint the generated state machine, its `${...}` filled in as the template would.

CreateStateMachine finds a mistake at deploy time at best; statelint finds it here.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

from statelint.cli import main as statelint

from dandyroll.aws import statemachine


def filled(text: str) -> str:
    """Every `${Name}` replaced by an ARN that ends in the name."""
    return re.sub(r"\$\{(\w+)\}", r"arn:aws:lambda:us-east-1:123456789012:function:\1", text)


def main() -> int:
    definition = filled(json.dumps(statemachine.definition(), indent=2))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.asl.json"
        path.write_text(definition, "utf-8")
        return statelint(["--eval-jsonata", str(path)])


if __name__ == "__main__":
    sys.exit(main())

"""`sam validate --lint` on the template: without an account, settings or a word to anyone."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAM = ROOT / ".venv-sam" / "bin" / "sam"


def main() -> int:
    if not SAM.exists():
        print("There is no .venv-sam: make sam", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as home:  # it keeps its settings in one
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
        }
        command = [str(SAM), "validate", "--lint", "--template", "deploy/template.yaml"]
        return subprocess.run(command, env=environment, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())

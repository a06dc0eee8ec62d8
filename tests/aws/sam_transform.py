"""The SAM transform as AWS does it: a template on standard input, in JSON, without its SAM types
on standard output. Run by the emulator's own Python, which has the translator."""

import json
import sys

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

json.dump(Translator({}, Parser()).translate(json.load(sys.stdin), {}), sys.stdout)

"""`python -m catalogue`: compiles the documents, and writes all that follows from them."""

import argparse
import sys
from pathlib import Path

from catalogue.compiler import compile_folder, schema
from catalogue.errors import DocumentError
from catalogue.glue import render as render_glue
from insights.catalogue import Catalogue
from insights.ledger import LEDGER_TABLES

ROOT = Path(__file__).parent.parent

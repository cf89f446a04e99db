"""Signatures: what a predictor is asked to do, as typed fields with instructions."""

from pytest_lmprog.signatures.fields import MISSING, Field, InputField, OutputField, Role
from pytest_lmprog.signatures.signature import Signature, SignatureMeta, ensure_signature, make_signature

__all__ = [
    "MISSING",
    "Field",
    "InputField",
    "OutputField",
    "Role",
    "Signature",
    "SignatureMeta",
    "ensure_signature",
    "make_signature",
]

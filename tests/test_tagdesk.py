from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

import tagdesk


@pytest.mark.parametrize("name", tagdesk.__all__)
def test_a_public_name_is_what_it_says_whatever_was_imported_before(name: str) -> None:
    importlib.import_module("tagdesk.train")
    assert not isinstance(getattr(tagdesk, name), ModuleType)
    assert name in dir(tagdesk)


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        tagdesk.nonsense  # noqa: B018 - looking it up is the test


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys; import tagdesk; print([m for m in sys.modules if m.startswith('tagdesk.') or m == 'numpy'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

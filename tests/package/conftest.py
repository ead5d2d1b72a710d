"""Keys, made once."""

from tests.protect.conftest import keys_folder

__all__ = ["keys_folder"]

"""What panels in a tab have in common: nothing is drawn while the tab is hidden."""

from __future__ import annotations


class TabPanel:
    """Draws when its tab is shown, and follows the session from then on: what the session calls asks `is_shown` first."""

    is_shown = False

    def on_shown(self) -> None:
        """Draw what is picked now, and follow it from now on."""
        self.is_shown = True
        self.update()

    def on_hidden(self) -> None:
        self.is_shown = False

    def update(self) -> None:
        """Show what the session says."""
        raise NotImplementedError

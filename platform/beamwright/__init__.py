"""Architecture search and scanning agents for electron microscopy."""

__all__ = ["__version__"]

__version__ = "0.1.0"

"""From a bare Python to a running engine. Standard library only: nothing is installed yet when this runs."""

"""Agents that fly the microscope: baselines behind one interface, and how well they do."""

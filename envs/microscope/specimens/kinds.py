"""The registry of specimens: every class by the name that a configuration gives it."""

from __future__ import annotations

from beamwright.registry import Entry, Registry

__all__ = ["SPECIMENS"]

_HERE = "beamwright.envs.microscope.specimens"

SPECIMENS = Registry(
    "specimen",
    Entry(
        "particle_cluster",
        "an agglomerate of metal particles in an empty field",
        f"{_HERE}.particles:particle_cluster",
    ),
    Entry(
        "particles_anywhere",
        "metal particles scattered over the field",
        f"{_HERE}.particles:particles_anywhere",
    ),
    Entry(
        "nanoparticles",
        "large faceted (Wulff) gold particles on rough carbon",
        f"{_HERE}.particles:nanoparticles",
    ),
    Entry("atom_cluster", "a cluster of platinum atoms in an empty field", f"{_HERE}.clusters:atom_cluster"),
    Entry("random_atoms", "single heavy atoms at random on thin carbon", f"{_HERE}.clusters:random_atoms"),
    Entry(
        "wulff_crystal", "one gold crystal along [110], column by column", f"{_HERE}.clusters:wulff_crystal"
    ),
    Entry(
        "textured_flake",
        "a flake with terraces, fold and moire in an empty field",
        f"{_HERE}.flakes:textured_flake",
    ),
    Entry(
        "lattice_with_defects",
        "crystals with vacancies, dopants, boundaries, tilt",
        f"{_HERE}.crystals:lattice_with_defects",
    ),
    Entry("square", "gold along [001]", f"{_HERE}.crystals:square"),
    Entry("rect", "FePt: a rectangular lattice of bright rows", f"{_HERE}.crystals:rect"),
    Entry("hexagonal", "gold along [111]", f"{_HERE}.crystals:hexagonal"),
    Entry("honeycomb", "a layer of MoS2", f"{_HERE}.crystals:honeycomb"),
    Entry("perovskite", "SrTiO3 along [001]", f"{_HERE}.crystals:perovskite"),
    Entry("dumbbell", "GaAs along [110]", f"{_HERE}.crystals:dumbbell"),
    Entry(
        "random_lattice", "lattices of random edges, angle and columns", f"{_HERE}.crystals:random_lattice"
    ),
    Entry(
        "amorphous_film", "amorphous carbon, for Thon rings and Ronchigrams", f"{_HERE}.films:amorphous_film"
    ),
    Entry("porous", "nanoporous gold", f"{_HERE}.textures:porous"),
    Entry("layered", "a multilayer in cross section", f"{_HERE}.textures:layered"),
    Entry(
        "membrane_texture",
        "stacks of stained membranes over the whole field",
        f"{_HERE}.cells:membrane_texture",
    ),
    Entry("organelles", "part of a cell in a stained section", f"{_HERE}.cells:organelles"),
    Entry(
        "proteins_in_ice", "copies of a protein complex in vitreous ice", f"{_HERE}.proteins:proteins_in_ice"
    ),
    Entry("images", "crops of recorded images", f"{_HERE}.images:images"),
)

"""The measures of the papers, each with its equation and source. Pure numerics on meshes and arrays."""

"""The language of Blender and the backend. Imports msgpack and numpy only."""

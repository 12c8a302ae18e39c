"""What Blender and the backend say to each other. Imports msgpack and numpy only."""

"""The same skin found in the pictures of several views, to a fraction of a pixel; cameras and shape follow."""

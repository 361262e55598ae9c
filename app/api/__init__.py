"""REST: one file per resource, the layer around them, problems and the OpenAPI document."""

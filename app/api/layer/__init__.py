"""What every request passes: admission, recording, bodies, formats, problems."""

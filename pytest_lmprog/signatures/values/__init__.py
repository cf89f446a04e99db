"""Values of fields that are more than data: tools, pictures, sounds, files and earlier turns."""

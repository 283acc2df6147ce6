"""The metadata of kohya's sd-scripts, which other trainers borrow."""

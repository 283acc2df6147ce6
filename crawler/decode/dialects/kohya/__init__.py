"""The metadata of kohya's sd-scripts, whose keys other trainers use too."""

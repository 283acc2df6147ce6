"""Benchmarks: each figure that the project promises, beside a peer, as ratios of one run.

`python -m bench` measures all of them and writes `docs/benchmarks.md`; `python -m bench sync start`
measures some and only prints them. `catalogue` makes the files and list pages, `nginx` serves them,
`measure` runs programs and compares their costs, `report` prints the results. `peers` are programs that
lora-crawl is compared with. The other modules hold one group of measurements each.
"""

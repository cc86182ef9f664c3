"""Results as one HTML page that needs no network: tables with intervals, charts, and a browser of chains.

`prm.benchmarks.report.page.make_page` assembles it: `sections` holds the contents of each result, `charts` draws them,
`browse` selects the chains, and the files in `assets/` make the page.
"""

"""Results as one HTML page that needs no network: tables with intervals, charts, and a browser of chains.

`prm.benchmarks.report.page.make_page` puts it together: `sections` says what a result has to say, `charts` draws it,
`browse` chooses the chains to look at, and `page.html.j2`, `report.css` and `browser.js` are how it looks.
"""

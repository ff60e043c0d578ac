"""The look of report pages: light, dark and printed; plots take their colours from here."""

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--soft:#59636e;--line:#d1d9e0;
--c0:#2166ac;--c1:#c2410c;--c2:#1a7f37;--c3:#8250df;--c4:#9a6700;--c5:#bf3989}
@media (prefers-color-scheme:dark){:root{--paper:#12161c;--ink:#e6edf3;--soft:#9da7b1;
--line:#343b44;--c0:#6cb0f5;--c1:#f0883e;--c2:#57ab5a;--c3:#b083f0;--c4:#daaa3f;--c5:#e275ad}}
@media print{:root{color-scheme:light;--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;
--c0:#2166ac;--c1:#c2410c;--c2:#1a7f37;--c3:#8250df;--c4:#9a6700;--c5:#bf3989}
figure,table{break-inside:avoid}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
body{margin:0 auto;padding:1rem;max-width:64rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:.2em 0}h2{font-size:1.2rem;margin:2em 0 .5em}
p,figcaption{color:var(--soft);max-width:48rem}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));gap:1.5rem}
figure{margin:0}figcaption{font-size:.9rem}svg{width:100%;max-width:34rem;height:auto}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3em .8em .3em 0;border-bottom:1px solid var(--line);
vertical-align:top}td.n,th.n{text-align:right;white-space:nowrap}
.better{color:var(--c2);font-weight:600}.worse{color:var(--c1);font-weight:600}
code{overflow-wrap:anywhere}
text{fill:var(--ink);font:12px system-ui,sans-serif}text.tick{fill:var(--soft)}
text.count{font-size:15px;font-weight:600}polyline{fill:none;stroke-width:2}
.axis,.grid{stroke:var(--line);stroke-width:1}.ideal{stroke:var(--soft);stroke-width:1;
stroke-dasharray:4 4}.quiet{fill:var(--soft);fill-opacity:.5}
.fill0,.dot0{fill:var(--c0)}.fill1{fill:var(--c1)}.fill2{fill:var(--c2)}.fill3{fill:var(--c3)}
.fill4{fill:var(--c4)}.fill5{fill:var(--c5)}.line0{stroke:var(--c0)}.line1{stroke:var(--c1)}
.line2{stroke:var(--c2)}.line3{stroke:var(--c3)}.line4{stroke:var(--c4)}.line5{stroke:var(--c5)}
"""

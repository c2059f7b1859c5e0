# ruff: noqa: E501, SIM905  (payloads stay in one piece)
"""What people and models may try: Markdown, HTML, SVG, Mermaid, Vega and formulas that want to run, send or imitate.

`corpus()` adds to the ones written by hand (`xss_written.py`) what is made of parts: every handler, every spelling of an
address that runs, in every place an address can stand. What would run sets `window.__xss`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tests.owui.xss_written import PAYLOADS

RUN = "window.__xss=1"

_HANDLERS = """abort afterprint animationend animationiteration animationstart auxclick beforecopy beforecut beforeinput
beforematch beforepaste beforeprint beforetoggle beforeunload begin blur cancel canplay canplaythrough change click
close contentvisibilityautostatechange contextmenu copy cuechange cut dblclick drag dragend dragenter dragleave dragover
dragstart drop durationchange emptied end ended error focus focusin focusout formdata fullscreenchange gotpointercapture
hashchange input invalid keydown keypress keyup load loadeddata loadedmetadata loadend loadstart lostpointercapture
message mousedown mouseenter mouseleave mousemove mouseout mouseover mouseup mousewheel offline online pagehide pageshow
paste pause play playing pointercancel pointerdown pointerenter pointermove pointerover pointerrawupdate pointerup
popstate progress ratechange repeat reset resize scroll scrollend scrollsnapchange search securitypolicyviolation seeked
seeking select selectionchange selectstart show slotchange stalled start storage submit suspend timeupdate toggle
touchend touchmove touchstart transitioncancel transitionend transitionrun transitionstart unhandledrejection unload
volumechange waiting webkitanimationstart webkittransitionend wheel""".split()

_HANDLER_SHAPES = (
    "<img src=x on{name}={run}>",
    '<svg on{name}="{run}" width=9 height=9><rect on{name}={run} /></svg>',
    "<div/on{name}='{run}' tabindex=1 autofocus contenteditable>x</div>",
    '<sub on{name}="{run}">x</sub>',
    '[x](/a "t" on{name}={run})',
)

# Every spelling a browser may take for an address that runs.
_SCHEMES = (
    *("javascript:{run}", "JAVASCRIPT:{run}", "jAvAsCrIpT:{run}", " javascript:{run}", "\tjavascript:{run}"),
    *("java\tscript:{run}", "java&Tab;script:{run}", "java&NewLine;script:{run}", "javascript&colon;{run}"),
    *("javascript&#58;{run}", "javascript&#x3A;{run}", "&#106;avascript:{run}", "&#x6a;avascript:{run}"),
    *("&#0000106avascript:{run}", "\x01javascript:{run}", "\x0bjavascript:{run}", "\u00a0javascript:{run}"),
    *("\u3000javascript:{run}", "\u2028javascript:{run}", "javascript\u200b:{run}", "javascript:\u2028{run}"),
    *("javascript://%0a{run}", "javascript://x/%250a{run}", "javascript:void({run})", "javascript:/*/{run}"),
    *("javascript\\:{run}", "\\javascript:{run}", "javascript%3A{run}", "vbscript:{run}", "livescript:{run}"),
    *("data:text/html,<script>{run}</script>", "data:text/html;base64,PHNjcmlwdD53aW5kb3cuX194c3M9MTwvc2NyaXB0Pg=="),
    *("data:image/svg+xml,<svg onload={run}>", "data:application/xhtml+xml,<x:script>{run}</x:script>"),
    *("data:text/xml,<x/>", "data:,{run}", "blob:{run}", "filesystem:{run}", "about:blank#{run}", "file:///etc/passwd"),
    *("view-source:javascript:{run}", "feed:javascript:{run}", "jar:javascript:{run}", "//evil.example/{run}"),
    *(
        "/\\evil.example/{run}",
        "\\\\evil.example/{run}",
        "/\t/evil.example/{run}",
        "https:evil.example",
        "http:///evil",
    ),
)
_ADDRESS_SHAPES = (
    "[x]({url})",
    "[x](<{url}>)",
    "![x]({url})",
    "<{url}>",
    "[x][r]\n\n[r]: {url}",
    '<a href="{url}">x</a>',
    "<iframe src='{url}'></iframe>",
    '<svg><a xlink:href="{url}"><text y=9>x</text></a></svg>',
    '<form action="{url}"><button formaction="{url}">x</button></form>',
    '<object data="{url}"></object><embed src="{url}">',
    '<math><mi href="{url}" xlink:href="{url}">x</mi></math>',
)

_SVG = (
    "<svg xmlns='http://www.w3.org/2000/svg' onload='{run}'/>",
    "<svg xmlns='http://www.w3.org/2000/svg'><script>{run}</script></svg>",
    "<svg><script href='data:,{run}'/></svg>",
    "<svg><script xlink:href='data:text/javascript,{run}'></script></svg>",
    "<svg><animate attributeName=href values=javascript:{run} /><a><text y=9>x</text></a></svg>",
    "<svg><a><animate attributeName=href to=javascript:{run} dur=1s fill=freeze /><text y=9>x</text></a></svg>",
    "<svg><set attributeName=onmouseover to='{run}' /></svg>",
    "<svg><animate onbegin='{run}' attributeName=x dur=1s></svg>",
    "<svg><animateTransform onbegin='{run}' attributeName=transform></svg>",
    "<svg><discard onbegin='{run}'/></svg>",
    "<svg><image href='x' onerror='{run}'/></svg>",
    "<svg><feImage href='data:image/svg+xml,<svg onload={run}>'/></svg>",
    "<svg><use href='data:image/svg+xml;base64,PHN2ZyBpZD0ieCIgb25sb2FkPSIiLz4=#x'/></svg>",
    "<svg><foreignObject><body xmlns='http://www.w3.org/1999/xhtml' onload='{run}'/></foreignObject></svg>",
    "<svg><foreignObject><iframe srcdoc='<script>parent.{run}</script>'/></foreignObject></svg>",
    "<svg><style>@import 'data:text/css,*{{x:expression({run})}}';</style></svg>",
    "<svg><style>&lt;/style&gt;<img src=x onerror={run}></style></svg>",
    "<svg><title><img src=x onerror={run}></title></svg>",
    "<svg><desc><script>{run}</script></desc></svg>",
    "<svg><text><tspan onclick='{run}'>x</tspan></text></svg>",
    "<svg><handler xmlns:ev='http://www.w3.org/2001/xml-events' ev:event='load'>{run}</handler></svg>",
    "<svg><metadata><script>{run}</script></metadata></svg>",
    "<svg><p><style><g title='</style><img src=x onerror={run}>'>",
    "<svg></p><style><a id='</style><img src=1 onerror={run}>'>",
    "<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY x '<script>{run}</script>'>]><svg>&x;</svg>",
    "<?xml-stylesheet type='text/xsl' href='data:text/xml,x'?><svg/>",
    "<math><annotation-xml encoding='text/html'><svg onload='{run}'></annotation-xml></math>",
    "<math><mtext><mglyph><svg><mtext><textarea><path id='</textarea><img onerror={run} src=1>'>",
    "<math><mtext><table><mglyph><style><math>{run}</style><img src onerror='{run}'>",
    "<form><math><mtext></form><form><mglyph><svg><mtext><style><path id='</style><img onerror={run} src>'>",
    "<noscript><style></noscript><img src=x onerror={run}></style>",
    "<select><template><style><!--</style><a rel='--></style></template></select><img src onerror={run}>'>",
    "<table><caption><svg><title><table><caption></caption></table></title><img src onerror={run}>",
    "<listing>&lt;img src=x onerror={run}&gt;</listing>",
    "<xmp><p id='</xmp><img src=x onerror={run}>'></xmp>",
    "<div><template shadowrootmode=open><script>{run}</script></template></div>",
    "<input type=image src=x onerror={run}><keygen autofocus onfocus={run}>",
    "<meta http-equiv=refresh content='0;url=javascript:{run}'>",
    "<link rel=import href='data:text/html,<script>{run}</script>'>",
    "<base href='javascript:{run}//'><a href=x>x</a>",
    "<iframe srcdoc='&lt;script&gt;parent.{run}&lt;/script&gt;'></iframe>",
    "<iframe src='data:text/html,<script>parent.{run}</script>'></iframe>",
    "<portal src='javascript:{run}'></portal><fencedframe src=x></fencedframe>",
    "<b is=x-y onclick={run}>x</b><x-y onfocus={run} tabindex=1 autofocus>x</x-y>",
    "<p popover id=toasts class='modal toast'>x</p><dialog open id=composer>x</dialog>",
    "<a id=owui name=owui href=x>x</a><a id=htmx name=process href=x>x</a><form name=owui><input name=say></form>",
    "<div hx-on:click='{run}' hx-on::load='{run}' data-hx-on-load='{run}' hx-trigger=load hx-get=/auth/out>x</div>",
    "<div hx-vals='js:{{a:{run}}}' hx-headers='js:{{}}' hx-get=/ hx-trigger='load[{run}]'>x</div>",
    "<script type=module>{run}</script><script type=speculationrules>{{}}</script><script type=importmap>{{}}</script>",
    "<style>*{{background:url(//evil.example/?x)}}</style><p style='background:url(//evil.example)'>x</p>",
)
_SVG_SHAPES = ("{}", "```svg\n{}\n```", "```html\n{}\n```", "a {} b", "> {}\n- {}", "```xml\n{}")

_MERMAID = (
    'graph TD\n  A["<img src=x onerror={run}>"] --> B["<script>{run}</script>"]',
    'graph TD\n  A --> B\n  click A "javascript:{run}" "tip" _self',
    'graph TD\n  A --> B\n  click A href "javascript:{run}"',
    "graph TD\n  A --> B\n  click A call alert({run})",
    "graph TD\n  A --> B\n  click A eval",
    '%%{{init: {{"securityLevel": "loose", "flowchart": {{"htmlLabels": true}}}}}}%%\ngraph TD\n  A["<img src=x onerror={run}>"]',
    "%%{{init: {{'themeCSS': '</style><img src=x onerror={run}>'}}}}%%\ngraph TD\n  A-->B",
    "%%{{init: {{'fontFamily': 'x;}} * {{background:url(//evil.example)}}'}}}}%%\ngraph TD\n  A-->B",
    "%%{{init: {{'__proto__': {{'securityLevel': 'loose', 'startOnLoad': true}}}}}}%%\ngraph TD\n  A-->B",
    '---\nconfig:\n  securityLevel: loose\n  htmlLabels: true\n---\ngraph TD\n  A["<svg onload={run}>"]',
    "---\ntitle: <img src=x onerror={run}>\n---\nflowchart LR\n  A-->B",
    "sequenceDiagram\n  participant A as <img src=x onerror={run}>\n  A->>B: <script>{run}</script>",
    'sequenceDiagram\n  participant A\n  links A: {{"x": "javascript:{run}"}}\n  A->>B: x',
    "sequenceDiagram\n  A->>B: $$\\href{{javascript:{run}}}{{x}}$$",
    'classDiagram\n  class A\n  click A href "javascript:{run}"\n  A : <img src=x onerror={run}>',
    'classDiagram\n  class A["<svg onload={run}>"]\n  callback A "{run}" "x"',
    'stateDiagram-v2\n  s1 : <img src=x onerror={run}>\n  [*] --> s1\n  click s1 "javascript:{run}"',
    'erDiagram\n  A ||--o{{ B : "<img src=x onerror={run}>"',
    'gantt\n  title <img src=x onerror={run}>\n  section A\n  x :a1, 2024-01-01, 1d\n  click a1 href "javascript:{run}"',
    'pie title <svg onload={run}>\n  "<script>{run}</script>" : 1',
    'mindmap\n  root((<img src=x onerror={run}>))\n    ::icon(fa fa-x" onload="{run})',
    "timeline\n  title <img src=x onerror={run}>\n  2024 : <script>{run}</script>",
    "journey\n  title <img src=x onerror={run}>\n  section <svg onload={run}>\n    x: 5: <script>{run}</script>",
    'gitGraph\n  commit id: "<img src=x onerror={run}>"',
    'quadrantChart\n  title "<img src=x onerror={run}>"\n  "<script>{run}</script>": [0.3, 0.6]',
    'requirementDiagram\n  requirement x {{\n  id: 1\n  text: "<img src=x onerror={run}>"\n  }}',
    'C4Context\n  Person(a, "<img src=x onerror={run}>", $link="javascript:{run}")',
    'block-beta\n  a["<img src=x onerror={run}>"]',
    "sankey-beta\n\n<img src=x onerror={run}>,b,1",
    'xychart-beta\n  title "<img src=x onerror={run}>"\n  bar [1,2]',
    'architecture-beta\n  service a(x" onload="{run})[<img src=x onerror={run}>]',
    "graph TD\n  A:::x\n  classDef x fill:url(javascript:{run}),background:url(//evil.example)",
    'graph TD\n  A@{{ img: "javascript:{run}", label: "<img src=x onerror={run}>" }}',
    'graph TD\n  A@{{ img: "//evil.example/x.png", icon: "x:<script>" }}',
    'graph TD\n  A["`**<img src=x onerror={run}>** [x](javascript:{run})`"]',
    'graph TD\n  A["#60;img src=x onerror={run}#62;"]',
)

_VEGA = (
    '{{"mark":"bar","data":{{"url":"//evil.example/x.json"}}}}',
    '{{"mark":{{"type":"image","url":"//evil.example/x.png"}},"data":{{"values":[{{}}]}}}}',
    '{{"mark":{{"type":"point","href":"javascript:{run}"}},"data":{{"values":[{{}}]}}}}',
    '{{"mark":{{"type":"text","text":"<img src=x onerror={run}>"}},"data":{{"values":[{{}}]}}}}',
    '{{"title":"<script>{run}</script>","mark":"point","data":{{"values":[{{"a":"<svg onload={run}>"}}]}},"encoding":{{"x":{{"field":"a"}}}}}}',
    '{{"transform":[{{"calculate":"constructor.constructor(\'{run}\')()","as":"x"}}],"mark":"point","data":{{"values":[{{}}]}}}}',
    '{{"transform":[{{"filter":"[].constructor.constructor(\'{run}\')()"}}],"mark":"point","data":{{"values":[{{}}]}}}}',
    '{{"signals":[{{"name":"x","update":"event.view.eval(\'{run}\')"}}],"$schema":"https://vega.github.io/schema/vega/v5.json"}}',
    '{{"signals":[{{"name":"x","init":"replace(\'a\',regexp(\'a\'),({run}))"}}],"$schema":"vega/v5"}}',
    '{{"usermeta":{{"embedOptions":{{"loader":{{"baseURL":"//evil.example"}},"actions":true,"patch":"//evil.example"}}}},"mark":"bar"}}',
    '{{"config":{{"customFormatTypes":true}},"mark":"text","encoding":{{"text":{{"formatType":"constructor","field":"x"}}}}}}',
    '{{"toString":{{"toString":1}},"__proto__":{{"x":"{run}"}},"mark":"bar"}}',
)

_MATH = r"""\text{%} \mbox{%} \textbf{%} \operatorname{%} \mathrm{%} \href{javascript:%}{x} \url{javascript:%} \class{%}{x}
\style{%}{x} \cssId{%}{x} \htmlClass{%}{x} \htmlData{a=%}{x} \htmlId{%}{x} \htmlStyle{%}{x} \includegraphics{%}
\color{%}{x} \textcolor{%}{x} \colorbox{%}{x} \fcolorbox{%}{%}{x} \tag{%} \label{%} \ref{%} \verb|%| \unicode{%} \def\x{%}\x
\newcommand{\x}{%}\x \renewcommand{\frac}{%} \let\x=% \require{%} \fbox{%} \boxed{%} \overset{%}{x} \xrightarrow{%}
\begin{array}{%}x\end{array} \begin{%}x\end{%} \left%x\right% \ce{%} \pu{%} \mathchoice{%}{%}{%}{%} \rule{%}{1em} \hspace{%}
\kern% \big% \frac{%}{%} \sqrt[%]{%} x_{%}^{%} \genfrac{%}{%}{%}{}{x}{y}""".split()
_MATH_INSIDE = (
    "<script>{run}</script>",
    "<img src=x onerror={run}>",
    '" onmouseover="{run}',
    "&lt;svg onload={run}&gt;",
)
_MATH_SHAPES = ("${}$", "\\({}\\)")

_DETAILS = (
    '<details type="{kind}" done="true" duration="1"><summary>{bad}</summary>\n{bad}\n</details>',
    '<details type="{kind}" done="true" id="composer" name="{quoted}" arguments="{quoted}" result="{quoted}" files="{quoted}" embeds="{quoted}">\n<summary>x</summary>\n</details>',
    '<details type="{kind}" open ontoggle={run} class=modal style="position:fixed">\n<summary onclick={run}>x</summary>\n> {bad}\n</details>',
    '<details type="{kind}" output="{quoted}">\n<summary>x</summary>\n```html\n{bad}\n```\n</details></div></body>{bad}',
    '<details type="{kind}">\n<summary>x</summary>\n<details type="{kind}">\n<summary>{bad}</summary>\n{bad}\n</details>\n{bad}',
    '<details type="{kind}" result="&quot;</details>{bad}">\n<summary>x\n</details>',
    '<details type="{kind}x" type="{kind}"><summary>{bad}',
)
_KINDS = ("reasoning", "tool_calls", "code_interpreter", '" onclick="x')
_BAD = ("<script>{run}</script>", "<img src=x onerror={run}>", "[x](javascript:{run})")

_ENCODINGS = (
    lambda text: "".join(f"&#{ord(c)};" for c in text),
    lambda text: "".join(f"&#x{ord(c):x};" for c in text),
    lambda text: "".join(f"&#{ord(c):07}" for c in text),
    lambda text: "".join(f"\\{c}" if not c.isalnum() else c for c in text),
    lambda text: "".join(f"%{ord(c):02x}" for c in text),
    lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    lambda text: text.replace("<", "\uff1c").replace(">", "\uff1e"),
    lambda text: text.replace("s", "\u017f").replace("k", "\u212a"),
    lambda text: text.replace("<", "<\u200b").replace("=", "\u00a0="),
    lambda text: text.replace("<", "+ADw-").replace(">", "+AD4-"),
    lambda text: text.replace("<", "<\x00").replace(" ", "\x0c"),
    lambda text: text.replace("<", "<%00").replace(" ", "/"),
    lambda text: text.swapcase().replace("WINDOW.__XSS", "window.__xss"),
    lambda text: "\r\n".join(text),
)
_ENCODED = ("<script>{run}</script>", "<img src=x onerror={run}>", "<svg onload={run}>", "javascript:{run}")


def _made() -> Iterator[str]:
    for name, shape in product(_HANDLERS, _HANDLER_SHAPES):
        yield shape.format(name=name, run=RUN)
    for scheme, shape in product(_SCHEMES, _ADDRESS_SHAPES):
        yield shape.format(url=scheme.format(run=RUN))
    for svg, shape in product(_SVG, _SVG_SHAPES):
        yield shape.replace("{}", svg.format(run=RUN))
    for source in _MERMAID:
        yield f"```mermaid\n{source.format(run=RUN)}\n```"
    for spec, fence in product(_VEGA, ("vega-lite", "vega")):
        yield f"```{fence}\n{spec.format(run=RUN)}\n```"
    for command, inside, shape in product(_MATH, _MATH_INSIDE, _MATH_SHAPES):
        yield shape.replace("{}", command.replace("%", inside.format(run=RUN)))
    for shape, kind, bad in product(_DETAILS, _KINDS, _BAD):
        wrong = bad.format(run=RUN)
        quoted = wrong.replace("<", "&lt;").replace('"', "&quot;")
        yield shape.format(kind=kind, bad=wrong, quoted=quoted, run=RUN)
    for encode, source in product(_ENCODINGS, _ENCODED):
        yield encode(source.format(run=RUN))


def corpus() -> list[str]:
    """All of them, each once, always in the same order."""
    return list(dict.fromkeys([*PAYLOADS, *_made()]))

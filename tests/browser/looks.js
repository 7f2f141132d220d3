// What must hold on every page, as a list of sentences about what does not.
(language) => {
  const faults = [];
  const all = (selector) => [...document.querySelectorAll(selector)].filter((node) => node.getClientRects().length);
  const words = (node) => node.textContent.replace(/\s+/g, " ").trim();

  const headings = all("h1");
  if (headings.length !== 1 || !words(headings[0])) faults.push(`headings: ${headings.map(words)}`);
  if (document.documentElement.lang !== { zh: "zh-CN", en: "en" }[language]) faults.push("the wrong lang");
  if (all("main").length !== 1) faults.push("not one main");

  for (const input of all("input:not([type=hidden]), select, textarea")) {
    if (!input.labels?.length && !input.ariaLabel) faults.push(`no label for ${input.outerHTML.slice(0, 80)}`);
  }
  for (const control of all("button, a[href], summary")) {
    if (!words(control) && !control.ariaLabel) faults.push(`no name for ${control.outerHTML.slice(0, 80)}`);
  }
  for (const table of all("table")) {
    if (!table.querySelector("th")) faults.push("a table without header cells");
  }
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  const twice = ids.filter((id, place) => ids.indexOf(id) !== place);
  if (twice.length) faults.push(`ids used twice: ${twice}`);

  const { scrollWidth, scrollHeight } = document.scrollingElement;
  if (scrollWidth > innerWidth) faults.push(`scrolls sideways to ${scrollWidth} px`);
  if (scrollHeight > Math.max(innerHeight, document.body.offsetHeight) + 1) faults.push("scrolls past its end");

  // What the product says; codes, files' columns and the names of people and firms are not its words.
  const said = "h1, h2, h3, nav a, th[scope=col], label, legend, button, summary, dt, caption, .figure-label, .empty p, .lede";
  const theirs = /^(Consign|CSV|Cobblestone-256|\S+@\S+.*|(lender|agency|auditor|operator) [0-9a-f]{6}.*)$/;
  for (const node of all(said).filter((one) => !one.closest("[lang]:not(html)"))) {
    const own = node.cloneNode(true);
    own.querySelectorAll("code, kbd, select, time, .member, .drop-name").forEach((part) => part.remove());
    const text = words(own);
    const english = /[A-Za-z]{3,}/.test(text) && !/\p{Script=Han}/u.test(text);
    const chinese = /^\p{Script=Han}+$/u.test(text) && !node.matches("h1, h2, h3, nav a");
    if ((language === "zh" ? english : chinese) && !theirs.test(text)) faults.push(`not in ${language}: ${text}`);
  }
  const leaked = document.body.innerText.match(/.{0,30}(%\(\w+\)s|\{\{|None\b(?!\.)|\bundefined\b|\bNaN\b).{0,30}/);
  if (leaked) faults.push(`a placeholder is shown: ${leaked[0]}`);
  return faults;
}

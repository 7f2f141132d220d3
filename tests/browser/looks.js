// What must hold on every page, as a list of sentences about what does not.
(language) => {
  const faults = [];
  const shown = (node) => node.getClientRects().length > 0;
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
  const words = (node) => node.textContent.replace(/\s+/g, " ").trim();

  const headings = all("h1");
  if (headings.length !== 1) faults.push(`${headings.length} h1 headings`);
  if (!words(headings[0] ?? document.createElement("h1"))) faults.push("the h1 is empty");
  const expected = language === "zh" ? "zh-CN" : "en";
  if (document.documentElement.lang !== expected) faults.push(`lang is ${document.documentElement.lang}`);
  if (!all("main").length) faults.push("no main");

  for (const input of all("input:not([type=hidden]), select, textarea")) {
    const named = input.labels?.length || input.ariaLabel || input.getAttribute("aria-labelledby");
    if (!named) faults.push(`no label for ${input.name || input.outerHTML.slice(0, 80)}`);
  }
  for (const button of all("button, a[href], summary")) {
    if (!words(button) && !button.ariaLabel) faults.push(`no name for ${button.outerHTML.slice(0, 80)}`);
  }
  for (const table of all("table")) {
    if (!table.querySelector("th")) faults.push("a table without header cells");
  }
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  const twice = ids.filter((id, at) => ids.indexOf(id) !== at);
  if (twice.length) faults.push(`ids used twice: ${[...new Set(twice)].join(", ")}`);

  // What the product says; names, codes and columns of files are not its words.
  const said = "h1, h2, h3, nav a, th[scope=col], label, legend, button, summary, dt, caption, .figure-label, .empty p, .lede";
  for (const node of all(said).filter((one) => !one.closest("[lang]:not(html)"))) {
    const own = node.cloneNode(true);
    own.querySelectorAll("code, kbd, select, time, .member").forEach((part) => part.remove());
    const text = words(own);
    const english = /[A-Za-z]{3,}/.test(text) && !/\p{Script=Han}/u.test(text);
    const chinese = /^\p{Script=Han}+$/u.test(text) && !node.matches("h1, h2, h3"); // which name people and firms
    if ((language === "zh" ? english : chinese) && !/^(Consign|CSV|Cobblestone-256|[\w.+-]+@[\w.-]+.*)$/.test(text)) faults.push(`not in ${language}: ${text}`);
  }
  const { scrollWidth, scrollHeight } = document.scrollingElement;
  if (scrollWidth > innerWidth) faults.push(`scrolls sideways to ${scrollWidth} px`);
  if (scrollHeight > Math.max(innerHeight, document.body.offsetHeight) + 1) faults.push("scrolls past its end");

  if (/%\(\w+\)s|\{\{|None\b(?!\.)|\bundefined\b|\bNaN\b/.test(document.body.innerText)) {
    faults.push(`a placeholder is shown: ${document.body.innerText.match(/.{0,30}(%\(\w+\)s|\{\{|None\b(?!\.)|\bundefined\b|\bNaN\b).{0,30}/)[0]}`);
  }
  return [...new Set(faults)];
}

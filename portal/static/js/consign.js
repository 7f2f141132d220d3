// What pages do beyond links and forms: each section finds its own attribute and works alone.
//
//   data-theme-toggle                   light or dark, kept in this browser
//   data-menu                           a <details> that closes on Escape or a click elsewhere
//   data-confirm="…"                    a button that asks first; {count} is what is selected, {choice} the option beside
//                                       the button, whose data-warns is added
//   data-copy="…"                       copies its text
//   data-worklist                       a table worked by keys: j k enter space /
//   data-bulk                           a form whose [data-bulk-bar] appears with a selection
//   data-filter-kind="…"                shows and hides [data-kind] items
//   data-poll="URL"                     a fragment fetched again until it holds [data-poll-done]
//   data-release                        opens sealed fields in place, then closes them
//   data-proof                          a dialog that asks who it is, where a release wants to know again
//   data-document                       unseals a document, plays it in place or takes it as a file
//   data-upload-url, data-upload-next   sends a file as the raw body of one request
//
// The server answers releases with {"fields": {name: value}, "entry": "…"}, or to whoever holds their own key with a
// "package" instead of the fields, which opener/page.js opens; uploads with {"id": "…"} or with
// {"accepted", "repeated", "refused", "errors"}, refusals with problem details
// ({"title", "errors": [{"row", "field", "code", "title"}]}).
"use strict";

const texts = document.getElementById("texts").dataset;
const announcer = document.getElementById("announcer");
const ownKeys = document.getElementById("own-keys"); // there for people whose organisation holds its own keys
const csrf = document.querySelector('meta[name="csrf-token"]').content;

const fill = (text, facts) => text.replace(/\{(\w+)\}/g, (_, name) => facts[name]);
const announce = (text) => { announcer.textContent = text; };

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// --- theme, menus, copying -----------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-toggle]")) {
    const root = document.documentElement.dataset;
    root.bsTheme = root.bsTheme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", root.bsTheme);
  }
  for (const menu of document.querySelectorAll("[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const copy = event.target.closest("[data-copy]");
  if (copy) navigator.clipboard.writeText(copy.dataset.copy).then(() => announceOn(copy, texts.copied));
});

function announceOn(button, text) {
  const before = button.title;
  button.title = text;
  announce(text);
  setTimeout(() => { button.title = before; }, 2000);
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const menu = document.querySelector("[data-menu][open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  }
  if (event.key === "k" && (event.metaKey || event.ctrlKey)) {
    const search = document.querySelector("[data-search]");
    if (search) { event.preventDefault(); search.focus(); }
  }
});

// --- asking first --------------------------------------------------------------------------------------------

function question(button) {
  const chosen = button.parentElement.querySelector("select")?.selectedOptions[0];
  const count = button.form?.querySelector("[data-bulk-count]")?.textContent;
  const asked = fill(button.dataset.confirm, { choice: chosen?.textContent, count });
  return [asked, chosen?.dataset.warns].filter(Boolean).join(" ");
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-confirm]");
  if (!button || button.dataset.confirmed) return;
  event.preventDefault();
  if (button.form && !button.form.reportValidity()) return; // What is missing is asked for before anything is confirmed.
  const dialog = document.getElementById("confirm");
  const go = dialog.querySelector('[value="go"]');
  dialog.querySelector("#confirm-text").textContent = question(button);
  go.textContent = button.textContent.trim();
  dialog.returnValue = "";
  dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "go") return;
    button.dataset.confirmed = "yes";
    button.click();
    delete button.dataset.confirmed;
  }, { once: true });
  dialog.showModal();
});

// --- wide tables on a phone: a card for each row, each value beside its column's name -------------------------

for (const table of document.querySelectorAll("table.cards")) {
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
  for (const row of table.querySelectorAll("tbody tr, tfoot tr")) {
    let at = 0;
    for (const cell of row.cells) {
      cell.dataset.column = names[at];
      cell.toggleAttribute("data-nothing", ["", "\u2013"].includes(cell.textContent.trim()) && !cell.querySelector("input, progress"));
      at += cell.colSpan;
    }
  }
  table.classList.add("named");
}

// --- worklist and bulk selection -----------------------------------------------------------------------------

const rows = [...document.querySelectorAll("[data-worklist] tbody tr[data-href]")];
rows.forEach((row, index) => { row.tabIndex = index ? -1 : 0; });

function goTo(index) {
  const row = rows[Math.max(0, Math.min(rows.length - 1, index))];
  for (const other of rows) other.tabIndex = other === row ? 0 : -1;
  row.focus();
  row.scrollIntoView({ block: "nearest" });
}

const WORKLIST_KEYS = {
  j: (at) => goTo(at + 1),
  k: (at) => goTo(at - 1),
  Enter: (at) => at >= 0 && location.assign(rows[at].dataset.href),
  " ": (at) => at >= 0 && rows[at].querySelector('input[type="checkbox"]')?.click(),
  "/": () => document.querySelector("[data-worklist-filter]")?.focus(),
};

if (document.querySelector("[data-worklist]")) {
  document.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || !(event.key in WORKLIST_KEYS)) return;
    const typing = event.target.closest("input:not([type=checkbox]), select, textarea, dialog");
    const pressing = event.target.closest("a, button, summary, input");
    if (typing || (pressing && ["Enter", " "].includes(event.key))) return;
    if (!rows.length && event.key !== "/") return;
    event.preventDefault();
    WORKLIST_KEYS[event.key](rows.indexOf(document.activeElement.closest("tr")));
  });
}

for (const row of rows) {
  row.addEventListener("click", (event) => {
    if (!event.target.closest("a, button, input, label") && !String(getSelection())) location.assign(row.dataset.href);
  });
}

for (const form of document.querySelectorAll("form[data-bulk]")) {
  const bar = form.querySelector("[data-bulk-bar]");
  const all = form.querySelector("[data-bulk-all]");
  const boxes = [...form.querySelectorAll("tbody input[type=checkbox]")];
  const show = () => {
    const count = boxes.filter((box) => box.checked).length;
    bar.hidden = count === 0;
    for (const place of form.querySelectorAll("[data-bulk-count]")) place.textContent = count;
    if (all) { all.checked = count > 0 && count === boxes.length; all.indeterminate = count > 0 && count < boxes.length; }
    announce(fill(texts.selected, { count }));
  };
  form.addEventListener("change", (event) => {
    if (event.target === all) for (const box of boxes) box.checked = all.checked;
    if (event.target === all || boxes.includes(event.target)) show();
  });
  if (boxes.some((box) => box.checked)) show(); // The browser kept a selection on the way back.
}

document.addEventListener("change", (event) => {
  const kind = event.target.dataset?.filterKind;
  if (!kind) return;
  for (const item of document.querySelectorAll(`[data-kind="${CSS.escape(kind)}"]`)) item.hidden = !event.target.checked;
});

// --- fragments that follow a job -----------------------------------------------------------------------------

async function poll(place) {
  if (!document.hidden) {
    const answer = await fetch(place.dataset.poll, { headers: { Accept: "text/html" } }).catch(() => null);
    if (answer?.ok && !answer.redirected) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      place.replaceChildren(...page.body.childNodes);
    } else if (answer) {
      return; // Signed out or gone: asking again would not help.
    }
    const done = place.querySelector("[data-poll-done]");
    if (done) {
      if (place.dataset.pollNext) location.assign(place.dataset.pollNext);
      return;
    }
  }
  setTimeout(poll, 1000 * Number(place.dataset.pollSeconds ?? 2), place);
}

document.querySelectorAll("[data-poll]").forEach(poll);

// --- releases ------------------------------------------------------------------------------------------------

async function problemOf(answer) {
  const isProblem = answer.headers.get("Content-Type")?.startsWith("application/problem+json");
  return isProblem ? answer.json() : { title: texts.refused };
}

async function openSealed(section, form) {
  const trace = section.querySelector(".release-trace");
  const button = form.querySelector("button");
  const refuse = (...why) => {
    trace.classList.add("bad");
    trace.replaceChildren(...why);
    button.disabled = false;
  };
  button.disabled = true;
  trace.classList.remove("bad");
  const own = ownKeys && await import("./opener/page.js").catch(() => null);
  if (ownKeys) {
    const why = own ? await own.whyNot() : ownKeys.dataset.browserTooOld;
    const link = element("a", { href: ownKeys.dataset.keysUrl, textContent: ownKeys.dataset.unlock });
    if (why) return refuse(why, " ", link); // Before the server logs a release that shows nothing.
  }
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      headers: { Accept: "application/json", "X-CSRF-Token": csrf },
      cache: "no-store",
    });
    if (!answer.ok) {
      const problem = await problemOf(answer);
      button.disabled = false;
      if (problem.code === "step_up_required" && await proved(problem.proofs)) return openSealed(section, form);
      return refuse(problem.title);
    }
    const released = await answer.json();
    // An agency that holds its own key gets packages alone: what comes in the clear nobody has vouched for.
    if (released.package || ownKeys?.hasAttribute("data-packages-only")) {
      const wanted = { case: form.action.split("/").at(-2), fieldClass: form.elements.field_class.value };
      Object.assign(released, await own.openAnswer(released, wanted));
      if (released.refused) return refuse(released.refused);
    }
    showOpened(section, released, () => { button.disabled = false; form.reset(); });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // TypeError is how fetch says that the network failed.
    refuse(texts.unreachable);
  }
}

// Asks for the password or, where one is set up, a code; answers whether one of them proved right.
function proved(proofs) {
  const dialog = document.querySelector("dialog[data-proof]");
  const [form, wrong] = [dialog.querySelector("form"), dialog.querySelector(".field-error")];
  const go = form.querySelector("button:not([type])");
  const prove = async (event) => {
    event.preventDefault();
    go.disabled = true; // Each try counts: no second one while the first is on its way.
    const answer = await fetch(form.dataset.url, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      headers: { Accept: "application/json", "X-CSRF-Token": csrf },
      cache: "no-store",
    }).catch(() => null);
    go.disabled = false;
    if (answer?.ok) return dialog.close("proved");
    wrong.textContent = answer ? (await problemOf(answer)).title : texts.unreachable;
    form.reset();
  };
  for (const place of dialog.querySelectorAll("[data-proof-by]")) place.hidden = !proofs.includes(place.dataset.proofBy);
  wrong.textContent = "";
  dialog.returnValue = "";
  dialog.querySelector("[data-cancel]").onclick = () => dialog.close();
  form.addEventListener("submit", prove);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      form.removeEventListener("submit", prove);
      form.reset(); // What was typed does not stay in the page.
      resolve(dialog.returnValue === "proved");
    }, { once: true });
  });
}

// The masks stay in memory and come back; the values live only as long as the countdown or the page.
function showOpened(section, released, afterwards) {
  const trace = section.querySelector(".release-trace");
  const masks = new Map();
  for (const [name, value] of Object.entries(released.fields)) {
    const place = section.querySelector(`[data-field="${CSS.escape(name)}"]`);
    if (!place || value === null) continue;
    masks.set(place, [...place.childNodes]);
    place.replaceChildren(element("span", { className: "sealed opened num", textContent: value }));
  }
  let seconds = Number(section.dataset.seconds);
  const entry = released.entry.slice(0, 12); // enough to find it by; the whole is there on hover
  trace.title = released.entry;
  const close = () => {
    clearInterval(ticking);
    removeEventListener("pagehide", close);
    for (const [place, mask] of masks) place.replaceChildren(...mask);
    trace.textContent = texts.closed;
    afterwards();
  };
  const tick = () => {
    if (seconds <= 0) return close();
    // Read aloud once, not every second.
    trace.setAttribute("aria-live", seconds === Number(section.dataset.seconds) ? "polite" : "off");
    trace.textContent = fill(texts.released, { entry, seconds });
    seconds -= 1;
  };
  const ticking = setInterval(tick, 1000);
  addEventListener("pagehide", close); // Nothing opened survives in the browser's back cache.
  tick();
}

document.addEventListener("submit", (event) => {
  const section = event.target.closest("[data-release]");
  if (!section) return;
  event.preventDefault();
  openSealed(section, event.target);
});

// --- documents: unsealed for some minutes, played in place or taken as a file -----------------------------------

async function openDocument(form) {
  const [button, trace] = [form.querySelector("button"), form.querySelector(".release-trace")];
  button.disabled = true;
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      headers: { Accept: "application/json", "X-CSRF-Token": csrf },
      cache: "no-store",
    });
    if (!answer.ok) {
      const problem = await problemOf(answer);
      button.disabled = false;
      if (problem.code === "step_up_required" && await proved(problem.proofs)) return openDocument(form);
      return trace.replaceChildren(problem.title);
    }
    const { url, media_type: type } = await answer.json();
    trace.replaceChildren();
    if (!type.startsWith("audio/")) return location.assign(url);
    form.after(element("audio", { src: url, controls: true, preload: "metadata" }));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    trace.replaceChildren(texts.unreachable);
  }
  button.disabled = false;
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-document]");
  if (!form) return;
  event.preventDefault();
  form.parentElement.querySelector("audio")?.remove();
  openDocument(form);
});

// --- uploads -------------------------------------------------------------------------------------------------

const CONTENT_TYPES = {
  csv: "text/csv",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
};

const FORMAT_WITHIN_BYTES = 1 << 16;

const fileSize = (bytes) => (bytes < 1e5 ? `${Math.ceil(bytes / 1e3)} KB` : `${(bytes / 1e6).toFixed(1)} MB`);

function uploadUrl(form) {
  const url = new URL(form.dataset.uploadUrl, location.href);
  for (const [name, value] of new FormData(form)) if (typeof value === "string" && value) url.searchParams.set(name, value);
  return url;
}

function showProblem(form, problem, tone = "bad") {
  const errors = problem.errors ?? [];
  const words = JSON.parse(form.dataset.fieldWords);
  const items = errors.slice(0, 20).map(({ row, field, code, title }) => {
    const parts = [row ? fill(texts.row, { row, line: row + 1 }) : "", /^[*#]/.test(field) ? "" : words[field] ?? field, title ?? code];
    return element("li", { textContent: parts.filter(Boolean).join(" · ") });
  });
  const box = element("section", { className: `notice notice-${tone}` }, element("div", {},
    element("p", { className: "notice-title", textContent: problem.title ?? texts.refused }),
    element("ul", { className: "problem-list" }, ...items),
    errors.length > 20 ? element("p", { textContent: fill(texts.moreErrors, { count: errors.length - 20 }) }) : "",
    tone !== "bad" && errors.length ? errorsLink(errors) : ""));
  form.querySelector(".upload-problem").replaceChildren(box);
}

// The answer is the only place where these errors are; they hold codes, never a value of the file.
function errorsLink(errors) {
  const lines = ["row,field,code", ...errors.map(({ row, field, code }) => `${row},${field},${code}`)];
  const href = URL.createObjectURL(new Blob([lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
  return element("a", { href, download: "errors.csv", textContent: texts.allErrors });
}

// Some rows may be taken and some not: said in place, because no page holds it.
function showOutcome(form, outcome) {
  const title = fill(texts.outcome, outcome);
  showProblem(form, { title, errors: outcome.errors }, outcome.refused ? "watch" : "good");
}

// XMLHttpRequest, because fetch cannot tell how much has been sent.
function send(form, file) {
  const [button, strip] = [form.querySelector("button"), form.querySelector(".upload-progress")];
  const [bar, line] = [strip.querySelector("progress"), strip.querySelector("p")];
  const request = new XMLHttpRequest();
  const stop = (problem) => { strip.hidden = true; button.disabled = false; showProblem(form, problem); };
  request.open("POST", uploadUrl(form));
  request.setRequestHeader("Content-Type", CONTENT_TYPES[file.name.split(".").pop().toLowerCase()] ?? "application/octet-stream");
  request.setRequestHeader("Accept", "application/json");
  request.setRequestHeader("X-CSRF-Token", csrf);
  request.setRequestHeader("Idempotency-Key", crypto.randomUUID());
  request.upload.onprogress = ({ loaded, total }) => {
    bar.value = loaded / total;
    line.textContent = fill(texts.uploading, { done: fileSize(loaded), total: fileSize(total) });
  };
  request.upload.onload = () => { bar.removeAttribute("value"); line.textContent = texts.checking; };
  request.onerror = () => stop({ title: texts.unreachable });
  request.onload = () => {
    const isJson = /json/.test(request.getResponseHeader("Content-Type") ?? "");
    const answer = isJson ? JSON.parse(request.responseText) : { title: texts.refused };
    if (request.status >= 400 || !isJson) return stop(answer);
    if ("accepted" in answer) {
      [strip.hidden, button.disabled] = [true, false];
      return showOutcome(form, answer);
    }
    location.assign(fill(form.dataset.uploadNext, answer));
  };
  form.querySelector(".upload-problem").replaceChildren();
  [button.disabled, strip.hidden, bar.value] = [true, false, 0];
  request.send(file);
}

// A key file or a file in the clear, chosen by mistake, stays here: the first bytes have to name the format.
async function says(file, format) {
  const beginning = await file.slice(0, FORMAT_WITHIN_BYTES).text();
  return beginning.includes(`"${format}"`);
}

for (const form of document.querySelectorAll("form[data-upload-url]")) {
  const input = form.querySelector("input[type=file]");
  const drop = form.querySelector(".drop");
  input.addEventListener("change", () => {
    const file = input.files[0];
    if (file) form.querySelector(".drop-name").textContent = `${file.name} · ${fileSize(file.size)}`;
  });
  for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, () => drop.classList.add("over"));
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const [file, format] = [input.files[0], form.dataset.uploadFormat];
    if (format && !(await says(file, format))) return showProblem(form, { title: fill(texts.otherFormat, { format }) });
    send(form, file);
  });
}

// Sealed bids: the commitment is made here, and the bid leaves this browser when it is revealed and not before.
//
//   data-bid-commit     a form whose rate and fee have no name, and so are never sent: only `commitment` is
//   data-bid-template   in it, on lots: what each package is made of; data-bid-add and data-bid-remove make more and fewer
//   data-bid-reveal     a form that the slip fills in, once it is found to be of this commitment
//   data-countdown="…"  so many seconds, counted down as hours, minutes and seconds; …-words says it with "{time}"
//
// A commitment is SHA-256 over "consign/bid/1", a zero byte, and tender id, agency id, the terms as RFC 8785 JSON and a
// nonce of 32 bytes, each behind its length in 4 big-endian bytes; on lots it begins with "consign/bid/2", and the terms
// are packages: see models/award, which checks it.
"use strict";

(() => {
  const WHOLE = { label: "consign/bid/1\0", slip: "consign/bid-slip/1", sent: ["kind", "rate", "case_fee"] };
  const LOTS = { label: "consign/bid/2\0", slip: "consign/bid-slip/2", sent: ["packages"] };
  const NONCE_BYTES = 32;
  const PACKAGES_MAX = 8;

  const wayOf = (form) => form.dataset.lots === undefined ? WHOLE : LOTS;
  const bytesOf = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const utf8 = (text) => new TextEncoder().encode(text);

  function framed(bytes) {
    const out = new Uint8Array(4 + bytes.length);
    new DataView(out.buffer).setUint32(0, bytes.length);
    out.set(bytes, 4);
    return out;
  }

  // Three texts without anything to escape and a list of numbers, their names in order: this is their only spelling.
  const spelledTerms = ({ kind, rate, case_fee }) => ({ case_fee, kind, rate });
  const spelledPackage = ({ lots, kind, rate, case_fee }) => ({ case_fee, kind, lots, rate });
  const spelled = (bid) => JSON.stringify(bid.packages ? { packages: bid.packages.map(spelledPackage) } : spelledTerms(bid));

  async function commitmentOf(way, tender, agency, bid, nonce) {
    const parts = [bytesOf(tender.replaceAll("-", "")), bytesOf(agency.replaceAll("-", "")), utf8(spelled(bid)), nonce];
    const whole = await new Blob([utf8(way.label), ...parts.map(framed)]).arrayBuffer();
    return hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", whole)));
  }

  // "18.5" per cent is the text "0.185000"; null for what is no rate.
  function rateOf(percent) {
    const found = /^(\d{1,3})(?:\.(\d{1,4}))?$/.exec(percent.trim());
    const millionths = found && Number(found[1]) * 10_000 + Number((found[2] ?? "").padEnd(4, "0"));
    if (found === null || millionths > 1_000_000) return null;
    return `${Math.floor(millionths / 1_000_000)}.${String(millionths % 1_000_000).padStart(6, "0")}`;
  }

  function feeOf(amount) {
    const found = /^(\d{1,6})(?:\.(\d{1,2}))?$/.exec(amount.trim());
    return found && `${Number(found[1])}.${(found[2] ?? "").padEnd(2, "0")}`;
  }

  function say(form, text, bad) {
    const place = form.querySelector("[data-bid-says]");
    place.textContent = text;
    place.classList.toggle("field-error", Boolean(bad));
  }

  // --- committing ----------------------------------------------------------------------------------------------

  function termsIn(fields) {
    const kind = fields.querySelector("[data-bid-kind]").value;
    const rate = rateOf(fields.querySelector("[data-bid-rate]").value);
    const fee = feeOf(kind === "hybrid" ? fields.querySelector("[data-bid-fee]").value : "0");
    return rate && fee && { kind, rate, case_fee: fee };
  }

  // Why no slip is made of these terms; undefined for a bid that may be made. Without a maximum nothing is above it.
  function faultOf(form, terms) {
    if (!terms) return form.dataset.termsWrong;
    if (Number(terms.rate) > Number(form.dataset.rateMax)) return form.dataset.rateAbove;
    if (Number(terms.case_fee) > Number(form.dataset.feeMax)) return form.dataset.feeAbove;
    return undefined;
  }

  const lotsIn = (fields) => Array.from(fields.querySelectorAll("[data-bid-lot]:checked"), (box) => Number(box.value));

  // [1] before [1, 2] before [2]: the order in which packages are committed to.
  function byLots({ lots: ones }, { lots: others }) {
    const at = ones.findIndex((lot, place) => lot !== others[place]);
    return at === -1 ? ones.length - others.length : ones[at] - (others[at] ?? 0);
  }

  // The bid, or why there is none.
  function bidIn(form) {
    if (wayOf(form) === WHOLE) {
      const terms = termsIn(form);
      return { bid: terms, fault: faultOf(form, terms) };
    }
    const all = Array.from(form.querySelectorAll("[data-bid-package]"), (fields) => ({ lots: lotsIn(fields), terms: termsIn(fields) }));
    const faults = all.map(({ lots, terms }) => lots.length ? faultOf(form, terms) : form.dataset.lotsMissing);
    if (new Set(all.map(({ lots }) => lots.join())).size < all.length) faults.push(form.dataset.packageTwice);
    const packages = all.map(({ lots, terms }) => ({ lots, ...terms })).sort(byLots);
    return { bid: { packages }, fault: faults.find(Boolean) };
  }

  function save(slip) {
    const href = URL.createObjectURL(new Blob([JSON.stringify(slip, null, 1) + "\n"], { type: "application/json" }));
    const link = Object.assign(document.createElement("a"), { href, download: `bid-slip-${slip.commitment.slice(0, 12)}.json` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000);
  }

  async function makeSlip(form) {
    const { bid, fault } = bidIn(form);
    if (fault) return say(form, fault, true);
    const { tender, agency, offer } = form.dataset;
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const commitment = await commitmentOf(wayOf(form), tender, agency, bid, nonce);
    save({ format: wayOf(form).slip, tender, agency, offer, ...bid, nonce: hexOf(nonce), commitment });
    form.elements.commitment.value = commitment;
    form.querySelector("[data-bid-send]").disabled = false;
    say(form, form.dataset.slipSaved.replace("{commitment}", commitment));
  }

  function forget(form) {
    form.elements.commitment.value = "";
    form.querySelector("[data-bid-send]").disabled = true;
    for (const fields of form.querySelectorAll("[data-bid-package]")) {
      fields.querySelector("[data-bid-fee-field]").hidden = fields.querySelector("[data-bid-kind]").value !== "hybrid";
    }
    say(form, "");
  }

  // Each package has ids of its own, so that its labels are of its own fields.
  function addPackage(form) {
    const count = form.querySelectorAll("[data-bid-package]").length;
    if (count === PACKAGES_MAX) return;
    const made = form.querySelector("[data-bid-template]").content.cloneNode(true);
    const suffix = `-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    for (const field of made.querySelectorAll("[id]")) field.id += suffix;
    for (const label of made.querySelectorAll("[for]")) label.htmlFor += suffix;
    form.querySelector("[data-bid-packages]").append(made);
    number(form);
  }

  function number(form) {
    const packages = form.querySelectorAll("[data-bid-package]");
    packages.forEach((fields, at) => {
      fields.querySelector("[data-bid-number]").textContent = String(at + 1);
      fields.querySelector("[data-bid-remove]").hidden = packages.length === 1;
    });
    form.querySelector("[data-bid-add]").disabled = packages.length === PACKAGES_MAX;
    forget(form);
  }

  function onLots(form) {
    form.querySelector("[data-bid-add]").addEventListener("click", () => addPackage(form));
    form.addEventListener("click", (event) => {
      const button = event.target.closest("[data-bid-remove]");
      if (!button) return;
      button.closest("[data-bid-package]").remove();
      number(form);
    });
    addPackage(form);
  }

  for (const form of document.querySelectorAll("[data-bid-commit]")) {
    if (!window.crypto?.subtle) { say(form, form.dataset.insecure, true); continue; }
    form.querySelector("[data-bid-slip]").disabled = false;
    form.querySelector("[data-bid-slip]").addEventListener("click", () => makeSlip(form));
    form.addEventListener("input", () => forget(form));
    form.addEventListener("submit", (event) => { if (!form.elements.commitment.value) event.preventDefault(); });
    if (wayOf(form) === LOTS) onLots(form);
    forget(form);
  }

  // --- revealing -----------------------------------------------------------------------------------------------

  async function readSlip(way, file) {
    try {
      const slip = JSON.parse(await file.text());
      const whole = way === WHOLE || Array.isArray(slip?.packages);
      return slip?.format === way.slip && /^[0-9a-f]{64}$/.test(slip.nonce) && whole ? slip : null;
    } catch {
      return null;
    }
  }

  async function take(form, file) {
    const send = form.querySelector("[data-bid-send]");
    send.disabled = true;
    const way = wayOf(form);
    const slip = file && await readSlip(way, file);
    if (!slip) return say(form, form.dataset.noSlip, true);
    const { tender, agency, commitment } = form.dataset;
    if (await commitmentOf(way, tender, agency, slip, bytesOf(slip.nonce)) !== commitment) return say(form, form.dataset.otherSlip, true);
    form.elements.nonce.value = slip.nonce;
    for (const name of way.sent) form.elements[name].value = name === "packages" ? JSON.stringify(slip.packages) : slip[name];
    send.disabled = false;
    if (way === LOTS) return say(form, form.dataset.slipFits.replace("{count}", slip.packages.length));
    const percent = String(Number((Number(slip.rate) * 100).toFixed(4)));
    return say(form, form.dataset.slipFits.replace("{rate}", percent).replace("{fee}", slip.case_fee));
  }

  for (const form of document.querySelectorAll("[data-bid-reveal]")) {
    if (!window.crypto?.subtle) { say(form, form.dataset.insecure, true); continue; }
    const input = form.querySelector("input[type=file]");
    input.disabled = false;
    input.addEventListener("change", () => take(form, input.files[0]));
    if (input.files[0]) take(form, input.files[0]);
  }

  // --- the clock -----------------------------------------------------------------------------------------------

  const two = (number) => String(number).padStart(2, "0");

  function tick() {
    for (const clock of document.querySelectorAll("[data-countdown]")) {
      const seconds = Math.max(0, Math.floor(Number(clock.dataset.countdown) - performance.now() / 1000));
      const time = `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
      clock.textContent = clock.dataset.countdownWords.replace("{time}", time);
    }
  }

  if (document.querySelector("[data-countdown]")) {
    tick();
    setInterval(tick, 1000);
  }
})();

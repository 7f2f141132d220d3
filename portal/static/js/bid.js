// Sealed bids: the commitment is made here, and the bid leaves this browser when it is revealed and not before.
//
//   data-bid-commit     a form whose rate and fee have no name, and so are never sent: only `commitment` is
//   data-bid-reveal     a form that the slip fills in, once it is found to be of this commitment
//   data-countdown="…"  so many seconds, counted down as hours, minutes and seconds
//
// A commitment is SHA-256 over "consign/bid/1", a zero byte, and tender id, agency id, the terms as RFC 8785 JSON and a
// nonce of 32 bytes, each behind its length in 4 big-endian bytes: see models/award.py, which checks it.
"use strict";

(() => {
  const LABEL = "consign/bid/1\0";
  const SLIP = "consign/bid-slip/1";
  const NONCE_BYTES = 32;

  const bytesOf = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const utf8 = (text) => new TextEncoder().encode(text);

  function framed(bytes) {
    const out = new Uint8Array(4 + bytes.length);
    new DataView(out.buffer).setUint32(0, bytes.length);
    out.set(bytes, 4);
    return out;
  }

  // Three texts without anything to escape, their names in order: this is their only spelling.
  const spelled = ({ kind, rate, case_fee }) => JSON.stringify({ case_fee, kind, rate });

  async function commitmentOf(tender, agency, terms, nonce) {
    const parts = [bytesOf(tender.replaceAll("-", "")), bytesOf(agency.replaceAll("-", "")), utf8(spelled(terms)), nonce];
    const whole = await new Blob([utf8(LABEL), ...parts.map(framed)]).arrayBuffer();
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

  function termsIn(form) {
    const kind = form.querySelector("[data-bid-kind]").value;
    const rate = rateOf(form.querySelector("[data-bid-rate]").value);
    const fee = feeOf(kind === "hybrid" ? form.querySelector("[data-bid-fee]").value : "0");
    return rate && fee && { kind, rate, case_fee: fee };
  }

  // Why no slip is made of these terms; undefined for a bid that may be made. Without a maximum nothing is above it.
  function faultOf(form, terms) {
    if (!terms) return form.dataset.termsWrong;
    if (Number(terms.rate) > Number(form.dataset.rateMax)) return form.dataset.rateAbove;
    if (Number(terms.case_fee) > Number(form.dataset.feeMax)) return form.dataset.feeAbove;
    return undefined;
  }

  function save(slip) {
    const href = URL.createObjectURL(new Blob([JSON.stringify(slip, null, 1) + "\n"], { type: "application/json" }));
    const link = Object.assign(document.createElement("a"), { href, download: `bid-slip-${slip.commitment.slice(0, 12)}.json` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000);
  }

  async function makeSlip(form) {
    const terms = termsIn(form);
    const fault = faultOf(form, terms);
    if (fault) return say(form, fault, true);
    const { tender, agency, offer } = form.dataset;
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const commitment = await commitmentOf(tender, agency, terms, nonce);
    save({ format: SLIP, tender, agency, offer, ...terms, nonce: hexOf(nonce), commitment });
    form.elements.commitment.value = commitment;
    form.querySelector("[data-bid-send]").disabled = false;
    say(form, form.dataset.slipSaved.replace("{commitment}", commitment));
  }

  function forget(form) {
    form.elements.commitment.value = "";
    form.querySelector("[data-bid-send]").disabled = true;
    form.querySelector("[data-bid-fee-field]").hidden = form.querySelector("[data-bid-kind]").value !== "hybrid";
    say(form, "");
  }

  for (const form of document.querySelectorAll("[data-bid-commit]")) {
    if (!window.crypto?.subtle) { say(form, form.dataset.insecure, true); continue; }
    form.querySelector("[data-bid-slip]").disabled = false;
    form.querySelector("[data-bid-slip]").addEventListener("click", () => makeSlip(form));
    form.addEventListener("input", () => forget(form));
    form.addEventListener("submit", (event) => { if (!form.elements.commitment.value) event.preventDefault(); });
    forget(form);
  }

  // --- revealing -----------------------------------------------------------------------------------------------

  async function readSlip(file) {
    try {
      const slip = JSON.parse(await file.text());
      return slip?.format === SLIP && /^[0-9a-f]{64}$/.test(slip.nonce) ? slip : null;
    } catch {
      return null;
    }
  }

  async function take(form, file) {
    const send = form.querySelector("[data-bid-send]");
    send.disabled = true;
    const slip = file && await readSlip(file);
    if (!slip) return say(form, form.dataset.noSlip, true);
    const { tender, agency, commitment } = form.dataset;
    if (await commitmentOf(tender, agency, slip, bytesOf(slip.nonce)) !== commitment) return say(form, form.dataset.otherSlip, true);
    for (const name of ["kind", "rate", "case_fee", "nonce"]) form.elements[name].value = slip[name];
    send.disabled = false;
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
      clock.textContent = `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
    }
  }

  if (document.querySelector("[data-countdown]")) {
    tick();
    setInterval(tick, 1000);
  }
})();

// The pages of people who hold their own keys. No key file, passphrase or memory is ever sent anywhere.
//
//   #own-keys                whose keys, and what is said, in the reader's language
//   data-own-keys            a card with its [data-when="unsupported|locked|unlocked"] parts and their forms
//   data-pin="ORGANISATION"  whose signing key can be pinned; data-public is the key that the platform shows
//   data-make-keys           a form that makes a key file and a public file
//
// consign.js asks `whyNot` before it asks for a release, and gives `openAnswer` what the server answered.
import { fromBase64 } from "./bytes.js";
import { makeKeyFile, openKeyFile } from "./keyfile.js";
import { fingerprint, grouped, Memory, readFingerprint } from "./memory.js";
import { openPackage } from "./package.js";
import { Refused } from "./refusals.js";
import { findKeys, lock, noteSaved, readMemory, unlock, withMemory } from "./store.js";

const FILE_BYTES_MAX = 1 << 24;
const PASSPHRASE_CHARS_MIN = 8;

const own = document.getElementById("own-keys");
const organisation = own?.dataset.organisation; // The sign-in page only shows which scripts there are.
const said = (name) => own.getAttribute(`data-${name.replaceAll("_", "-")}`);

/** Tell a refusal in `place`; what is no refusal is a fault of ours and goes on. */
async function tellRefusal(place, act) {
  place.textContent = "";
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    place.textContent = said(error.code);
  }
}

async function isSupported() {
  try {
    await crypto.subtle.generateKey("X25519", false, ["deriveBits"]);
    await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    return "toHex" in Uint8Array.prototype && "isWellFormed" in String.prototype;
  } catch {
    return false; // Not known to this browser, or the page came without https.
  }
}

// --- releases --------------------------------------------------------------------------------------------------

/** Why nothing can be opened here now, or null. */
export async function whyNot() {
  if (!(await isSupported())) return said("browser_too_old");
  return (await findKeys(organisation)) ? null : said("keys_locked");
}

/**
 * The fields that a release's answer holds sealed, or what to say instead.
 * @param {{package: unknown, signing_keys?: Record<string, string>}} answer
 * @param {{case: string, fieldClass: string}} wanted
 * @returns {Promise<{fields: Record<string, string>} | {refused: string}>}
 */
export async function openAnswer(answer, wanted) {
  try {
    const keys = await findKeys(organisation);
    if (!keys) throw new Refused("keys_locked");
    const now = Math.floor(Date.now() / 1000);
    const fields = await withMemory(organisation, (memory) =>
      openPackage(answer.package, wanted, keys, memory, answer.signing_keys ?? {}, now),
    );
    return { fields };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { refused: said(error.code) };
  }
}

// --- unlocking -------------------------------------------------------------------------------------------------

async function show(card) {
  const supported = await isSupported();
  const keys = supported ? await findKeys(organisation) : null;
  const now = supported ? (keys ? "unlocked" : "locked") : "unsupported";
  for (const part of card.querySelectorAll("[data-when]")) part.hidden = part.dataset.when !== now;
  if (!supported) return;
  const memory = await readMemory(organisation);
  card.querySelector("[data-news]").hidden = !memory.isNew;
  card.querySelector("[data-memory-state]").hidden = memory.isNew || !memory.isKept;
  if (!keys) return;
  const print = await fingerprint(keys.kemPublic);
  card.querySelector("[data-until]").textContent = new Date(keys.until).toTimeString().slice(0, 5);
  card.querySelector("[data-fingerprint]").textContent = grouped(print);
  // A platform that names another key as ours would have others grant to that one.
  const { published } = card.dataset;
  card.querySelector("[data-not-mine]").hidden = !published || published === print;
}

const textOf = (file) => {
  if (file.size > FILE_BYTES_MAX) throw new Refused("key_file_malformed");
  return file.text();
};

async function unlockFrom(form) {
  const [keyFile, memoryFile] = [...form.querySelectorAll("input[type=file]")].map((input) => input.files[0]);
  const passphrase = form.querySelector("input[type=password]");
  const keys = await openKeyFile(await textOf(keyFile), passphrase.value);
  if (keys.organisation !== organisation) throw new Refused("key_file_of_another");
  if (memoryFile) {
    const onFile = Memory.parse(await textOf(memoryFile));
    await withMemory(organisation, async (memory) => memory.learn(onFile));
    await noteSaved(organisation, onFile);
  }
  await unlock(keys);
  form.reset();
}

function wireCard(card) {
  const form = card.querySelector("[data-unlock]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    await tellRefusal(form.querySelector("[role=alert]"), () => unlockFrom(form));
    button.disabled = false;
    await showAll();
  });
  card.querySelector("[data-lock]").addEventListener("click", async () => {
    await lock(organisation);
    await showAll();
  });
  for (const save of card.querySelectorAll("[data-save-memory]")) {
    save.addEventListener("click", async () => {
      const { memory } = await readMemory(organisation);
      offer(memory.text(), `consign-memory-${organisation}.json`);
      await noteSaved(organisation, memory);
      await showAll();
    });
  }
}

/** A file for the person to keep; it goes to their disk and nowhere else. */
function offer(text, name) {
  const href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  Object.assign(document.createElement("a"), { href, download: name }).click();
  setTimeout(URL.revokeObjectURL, 60_000, href);
}

// --- pins ------------------------------------------------------------------------------------------------------

async function showPin(place) {
  const { memory } = await readMemory(organisation);
  const pinned = memory.pins[place.dataset.pin]?.signing;
  const shown = await fingerprint(fromBase64(place.dataset.public));
  const state = pinned === undefined ? "unpinned" : pinned === shown ? "pinned" : "changed";
  for (const part of place.querySelectorAll("[data-pin-when]")) part.hidden = part.dataset.pinWhen !== state;
}

/** Only what a person typed is pinned, and only if the platform shows the same: it cannot slip in a key unseen. */
async function pin(place, typed) {
  const print = readFingerprint(typed);
  if (print === null) throw new Refused("fingerprint_malformed");
  if (print !== (await fingerprint(fromBase64(place.dataset.public)))) throw new Refused("fingerprint_differs");
  await withMemory(organisation, async (memory) => memory.pin(place.dataset.pin, "signing", print));
}

function wirePin(place) {
  const form = place.querySelector("form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const input = form.querySelector("input");
    await tellRefusal(form.querySelector("[role=alert]"), async () => {
      await pin(place, input.value);
      form.reset();
      place.querySelector("details").open = false;
    });
    await showAll();
  });
}

// --- new keys --------------------------------------------------------------------------------------------------

async function makeFrom(form) {
  const [passphrase, again] = [...form.querySelectorAll("input[type=password]")].map((input) => input.value);
  if (passphrase.length < PASSPHRASE_CHARS_MIN) throw new Refused("passphrase_short");
  if (passphrase.normalize("NFC") !== again.normalize("NFC")) throw new Refused("passphrases_differ");
  const made = await makeKeyFile(organisation, passphrase);
  form.reset();
  for (const button of form.parentElement.querySelectorAll("[data-offer]")) {
    const [text, name] = { key: [made.keyFile, "key"], public: [made.publicFile, "public"] }[button.dataset.offer];
    button.onclick = () => offer(text, `consign-${name}-${organisation}.json`);
  }
  form.hidden = true;
  form.parentElement.querySelector("[data-made]").hidden = false;
}

function wireMaking(form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    await tellRefusal(form.querySelector("[role=alert]"), () => makeFrom(form));
    button.disabled = false;
  });
}

const cards = [...document.querySelectorAll("[data-own-keys]")];
const pins = [...document.querySelectorAll("[data-pin]")];
const showAll = () => Promise.all([...cards.map(show), ...pins.map(showPin)]);

cards.forEach(wireCard);
pins.forEach(wirePin);
document.querySelectorAll("[data-make-keys]").forEach(wireMaking);
showAll();

// Whoever signs out leaves no key behind for the next person at this machine.
if (own) document.querySelector("form[data-sign-out]").addEventListener("submit", async (event) => {
  event.preventDefault();
  await lock(organisation).finally(() => event.target.submit());
});

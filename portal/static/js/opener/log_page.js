// The audit page's check of a downloaded log, made here and remembered here: the file is sent nowhere.
//
//   data-check-log   a form with the file, the verifier key and a [role=status] that says what was found
import { readVerifierKey, verifyLog } from "./log.js";
import { Refused } from "./refusals.js";
import { find, put } from "./store.js";

/** What is told in the reader's language, with its facts. */
function tell(form, name, facts = {}) {
  const place = form.querySelector("[role=status]");
  place.className = name === "log_verified" ? "notice notice-good" : "notice notice-bad";
  const text = form.getAttribute(`data-${name.replaceAll("_", "-")}`);
  place.textContent = text.replace(/\{(\w+)\}/g, (_, fact) => facts[fact]);
  place.hidden = false;
}

async function check(form) {
  const [file] = form.querySelector("input[type=file]").files;
  const typed = form.querySelector("input:not([type])").value.trim();
  const key = await readVerifierKey(typed);
  const before = await find("log", key.name);
  if (before && before.key !== typed) throw new Refused("log_key_changed");
  const found = await verifyLog(file.stream(), key, async () => before);
  await put({ ...found, key: typed }, "log", key.name);
  return found;
}

for (const form of document.querySelectorAll("form[data-check-log]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const { size, root } = await check(form);
      tell(form, "log_verified", { size, root: root.slice(0, 16) });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      tell(form, error.code, { line: error.line });
    } finally {
      button.disabled = false;
    }
  });
}

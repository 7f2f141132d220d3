// What a client remembers, in a file of its own (`consign-memory/1`): keys it has pinned, and how far every grant
// and cell had come. Whoever serves an older grant, key or cell than was seen before is found out by it.
import { canonical, concat, exactly, hex, idBytes, lp, utf8 } from "./bytes.js";
import { sha256 } from "./hashes.js";
import { Refused } from "./refusals.js";

const FORMAT = "consign-memory/1";
const PURPOSES = ["kem", "signing"];
const NUMBERS = ["serials", "epochs", "versions"];
const CLOCK_SLACK_SECONDS = 300;
const FINGERPRINT = /^[0-9a-f]{64}$/;

/** In hex: of a KEM key with its suite byte, of a signing key's 32 raw bytes. @param {Uint8Array} publicKey */
export const fingerprint = async (publicKey) => hex(await sha256(concat(utf8("consign/key/1\0"), lp(publicKey))));

/** A fingerprint as people write it, in groups and with any separators, or null. @param {string} typed */
export function readFingerprint(typed) {
  const plain = typed.normalize("NFKC").toLowerCase().replace(/[\s:.\-–]/g, "");
  return FINGERPRINT.test(plain) ? plain : null;
}

/** In groups of four, to be read aloud. @param {string} print */
export const grouped = (print) => print.match(/.{4}/g).join(" ");

/** Every `take…` refuses what is lower than was seen before and remembers what is higher. */
export class Memory {
  constructor() {
    /** Organisation id → purpose → fingerprint. @type {Record<string, Record<string, string>>} */
    this.pins = {};
    /** Of grants, by scope. @type {Record<string, number>} */
    this.serials = {};
    /** @type {Record<string, number>} */
    this.epochs = {};
    /** Of cells, by `<case>/<class>`. @type {Record<string, number>} */
    this.versions = {};
    this.seen_at = 0;
  }

  /** @param {string} text of a memory file */
  static parse(text) {
    try {
      const { format, ...kept } = exactly(JSON.parse(text), ["format", "seen_at", "pins", ...NUMBERS]);
      const pins = Object.entries(kept.pins).every(([org, own]) => idBytes(org) && isPins(own));
      const numbers = NUMBERS.every((name) => Object.values(kept[name]).every(isNumber));
      if (format === FORMAT && isNumber(kept.seen_at) && pins && numbers) return Object.assign(new Memory(), kept);
    } catch {
      // Refused below: it is about the file, not about the member.
    }
    throw new Refused("memory_malformed");
  }

  text() {
    return canonical({ format: FORMAT, ...this });
  }

  /** What would be lost with it, as one text; the time alone would not be missed. */
  news() {
    const { seen_at, ...learnt } = this;
    return canonical(learnt);
  }

  /** Trust the key of that fingerprint, learnt from its owner by another way. */
  pin(organisation, purpose, print) {
    this.pins[organisation] = { ...this.pins[organisation], [purpose]: print };
  }

  async requirePinned(organisation, purpose, publicKey) {
    const pinned = this.pins[organisation]?.[purpose];
    if (pinned === undefined) throw new Refused("key_unpinned");
    if (pinned !== (await fingerprint(publicKey))) throw new Refused("key_changed");
  }

  /** A clock that stands far behind what was seen before would revive what has expired. @param {number} now */
  checkClock(now) {
    if (now < this.seen_at - CLOCK_SLACK_SECONDS) throw new Refused("clock_behind");
    this.seen_at = Math.max(this.seen_at, now);
  }

  /** A higher epoch is another key, whose serials begin anew. */
  takeEpoch(scope, epoch) {
    if (epoch > (this.epochs[scope] ?? 0)) delete this.serials[scope];
    take(this.epochs, scope, epoch, "epoch_rolled_back");
  }

  /** Of the epoch taken last. */
  takeSerial(scope, serial) {
    take(this.serials, scope, serial, "wrap_replayed");
  }

  takeVersion(cell, version) {
    take(this.versions, cell, version, "version_rolled_back");
  }

  /** All that another memory of the same client knows better; two different pins are for a person to settle. */
  learn(other) {
    for (const [organisation, pins] of Object.entries(other.pins)) {
      for (const [purpose, print] of Object.entries(pins)) {
        if ((this.pins[organisation]?.[purpose] ?? print) !== print) throw new Refused("memory_disagrees");
        this.pin(organisation, purpose, print);
      }
    }
    for (const [scope, epoch] of Object.entries(other.epochs)) {
      if (epoch > (this.epochs[scope] ?? 0)) delete this.serials[scope];
      this.epochs[scope] = Math.max(epoch, this.epochs[scope] ?? 0);
    }
    for (const [scope, serial] of Object.entries(other.serials)) {
      if ((other.epochs[scope] ?? 0) === (this.epochs[scope] ?? 0)) raise(this.serials, scope, serial);
    }
    for (const [cell, version] of Object.entries(other.versions)) raise(this.versions, cell, version);
    this.seen_at = Math.max(this.seen_at, other.seen_at);
  }
}

const isNumber = (value) => Number.isSafeInteger(value) && value >= 0;

const isPins = (pins) =>
  Object.entries(pins).every(([purpose, print]) => PURPOSES.includes(purpose) && FINGERPRINT.test(print));

function take(seen, place, number, code) {
  if (number < (seen[place] ?? 0)) throw new Refused(code);
  seen[place] = number;
}

function raise(seen, place, number) {
  seen[place] = Math.max(number, seen[place] ?? 0);
}

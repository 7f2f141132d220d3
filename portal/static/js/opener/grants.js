// Granted keys (`consign-grant/1`): a 32-byte key wrapped to one recipient and signed by whoever grants it.
import { canonical, concat, decimal, exactly, fromBase64, hex, idBytes, lp, utf8 } from "./bytes.js";
import { sha256 } from "./hashes.js";
import * as hpke from "./hpke.js";
import { fingerprint } from "./memory.js";
import { orRefused, Refused, sealBroken } from "./refusals.js";

export const SUITE_BYTES = { x25519: 1, xwing: 2 };

const FORMAT = "consign-grant/1";
const TERMS_FORMAT = "consign-terms/1";
const WRAP_VERSION = 1;
const HEX_32 = /^[0-9a-f]{64}$/;
const MEMBERS = [
  "format", "suite", "portfolio", "kind", "epoch", "serial", "granter", "grantee", "recipient", "terms", "expires_at",
  "wrapped", "signature",
];
const TERMS = ["format", "kind", "lender", "agency", "placement", "portfolio", "class", "expires_at"];
const CASE_TERMS = [...TERMS, "case", "reference", "version", "cell_digest"];

/**
 * A grant as it was sent, its members of the right shape and not yet believed.
 * @typedef {Record<string, any>} Grant
 */

export const isText = (value) => typeof value === "string";
const isDigest = (value) => isText(value) && HEX_32.test(value);
export const isCount = (value, least = 0) => Number.isSafeInteger(value) && value >= least;

/** @param {unknown} sent @returns {Grant} */
export function readGrant(sent) {
  const grant = exactly(sent, MEMBERS);
  const own = grant.terms === null;
  const shaped =
    grant.format === FORMAT && Object.hasOwn(SUITE_BYTES, grant.suite) && isText(grant.kind) && isDigest(grant.recipient) &&
    isCount(grant.epoch, 1) && isCount(grant.serial, 1) && (grant.expires_at === null || isCount(grant.expires_at));
  if (!shaped || !(own || isTerms(grant.terms))) throw sealBroken();
  for (const id of [grant.granter, grant.grantee]) idBytes(id);
  if (grant.portfolio !== null) idBytes(grant.portfolio);
  fromBase64(grant.wrapped);
  fromBase64(grant.signature);
  return grant;
}

function isTerms(terms) {
  const ofCase = terms.kind === "case";
  exactly(terms, ofCase ? CASE_TERMS : TERMS);
  for (const name of ["lender", "agency", "placement", "portfolio"]) idBytes(terms[name]);
  if (ofCase) idBytes(terms.case);
  const cased = !ofCase || (isText(terms.reference) && isCount(terms.version) && isDigest(terms.cell_digest));
  const kinds = terms.format === TERMS_FORMAT && ["lease", "case"].includes(terms.kind);
  return kinds && cased && isText(terms.class) && isCount(terms.expires_at);
}

/** A lender's own key. @param {Grant} grant */
export const isOwn = ({ granter, grantee }) => granter === grantee;

/** Do the terms say what the grant says? A key granted to another has terms. @param {Grant} grant */
function agree(grant) {
  const { terms, granter, grantee, portfolio, kind, expires_at } = grant;
  if (terms === null) return isOwn(grant);
  const said = [terms.lender, terms.agency, terms.portfolio, terms.class, terms.expires_at];
  return [granter, grantee, portfolio, kind, expires_at].every((one, at) => one === said[at]);
}

/** Within which epochs and serials only rise. @param {Grant} grant */
const scopeOf = ({ granter, portfolio, kind, terms }) =>
  [granter, terms?.placement ?? portfolio ?? "-", terms?.case ?? "-", kind].join("/");

/** HPKE's info. @param {Grant} grant */
export async function infoOf(grant) {
  return concat(
    utf8("consign/grant/1\0"),
    lp(
      utf8(grant.suite),
      grant.portfolio === null ? utf8("") : idBytes(grant.portfolio),
      utf8(grant.kind),
      decimal(grant.epoch),
      decimal(grant.serial),
      idBytes(grant.granter),
      idBytes(grant.grantee),
      Uint8Array.fromHex(grant.recipient),
      grant.terms === null ? utf8("") : await sha256(utf8(canonical(grant.terms))),
      grant.expires_at === null ? utf8("") : decimal(grant.expires_at),
    ),
  );
}

/** What is signed for a purpose, so that a signature for one never stands for another. */
export const signedBytes = (purpose, message) => concat(utf8(`consign/${purpose}-signature/1\0`), message);

async function isSigned(signing, purpose, message, signature) {
  const key = await crypto.subtle.importKey("raw", signing, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", key, signature, signedBytes(purpose, message));
}

/**
 * The granted key, or the refusal. Checked in this order, all before the wrap is opened but the last two: clock,
 * pin, suite, recipient, terms, signature, expiry, epoch, serial.
 * @param {Grant} grant as `readGrant` gives it
 * @param {import("./keyfile.js").OwnKeys} keys
 * @param {Uint8Array} signing the granter's signing key, as the server says: it counts only where it is pinned, or
 *   where it is one's own
 * @param {import("./memory.js").Memory} memory
 * @param {number} now in unix seconds
 */
export async function openGrant(grant, keys, signing, memory, now) {
  const wrapped = fromBase64(grant.wrapped);
  memory.checkClock(now);
  if (!isOwn(grant)) await memory.requirePinned(grant.granter, "signing", signing);
  if (grant.suite !== "x25519" || wrapped[1] !== SUITE_BYTES.x25519) throw new Refused("suite_downgraded");
  if (grant.recipient !== (await fingerprint(keys.kemPublic))) throw new Refused("wrap_retargeted");
  if (!agree(grant)) throw new Refused("terms_changed");
  const info = await infoOf(grant);
  const message = concat(lp(info), lp(wrapped.subarray(2)));
  const signed = await orRefused("wrap_unsigned", () => isSigned(signing, "grant", message, fromBase64(grant.signature)));
  if (!signed || wrapped[0] !== WRAP_VERSION) throw new Refused("wrap_unsigned");
  if (grant.expires_at !== null && now >= grant.expires_at) throw new Refused("wrap_expired");
  const secret = await hpke.open(wrapped.subarray(2), keys.kem, keys.kemPublic.subarray(1), info);
  memory.takeEpoch(scopeOf(grant), grant.epoch);
  memory.takeSerial(scopeOf(grant), grant.serial);
  return secret;
}

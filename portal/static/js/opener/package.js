// Opening what a release hands to somebody who holds their own key (`consign-package/1`). Nothing in a package is
// believed: every member has to agree with the signed grant, or to be bound by a seal.
import { concat, exactly, fromBase64, hex, idBytes, utf8 } from "./bytes.js";
import { caseKey, epochOf, openCell, openNote } from "./cells.js";
import { isCount, isOwn, isText, openGrant, readGrant } from "./grants.js";
import { sha256 } from "./hashes.js";
import { openLease } from "./leases.js";
import { orRefused, Refused, sealBroken } from "./refusals.js";

const FORMAT = "consign-package/1";
const CLASSES = ["identity", "contact", "related", "account", "notes"];
const MEMBERS = [
  "format", "case", "reference", "portfolio", "placement", "class", "version", "epoch", "cell", "notes", "grant",
  "lease", "salt",
];

/**
 * The fields of a cell, or the notes by their contact's id.
 * @param {unknown} sent
 * @param {{case: string, fieldClass: string}} wanted what the person asked for
 * @param {import("./keyfile.js").OwnKeys} keys
 * @param {import("./memory.js").Memory} memory
 * @param {Record<string, string>} signingKeys granters' public keys by id, from anywhere: `memory` holds the pins
 * @param {number} now in unix seconds
 * @returns {Promise<Record<string, string>>}
 */
export function openPackage(sent, wanted, keys, memory, signingKeys, now) {
  return orRefused("seal_broken", async () => {
    const found = read(sent);
    const { grant } = found;
    if (grant.grantee !== keys.organisation) throw new Refused("wrap_retargeted");
    if (found.case !== wanted.case || found.class !== wanted.fieldClass) throw new Refused("terms_changed");
    await requireAgreement(found);
    const signing = isOwn(grant) ? keys.signingPublic : publicKey(signingKeys, grant.granter);
    const leased = await caseKeyOf(found, await openGrant(grant, keys, signing, memory, now));
    return found.cell === null ? openNotes(found, leased.key) : openFields(found, leased, memory);
  });
}

function read(sent) {
  const found = exactly(sent, MEMBERS);
  const shaped =
    found.format === FORMAT && CLASSES.includes(found.class) && isText(found.reference) && isCount(found.version) &&
    isCount(found.epoch, 1) && Array.isArray(found.notes);
  const ofNotes = found.class === "notes";
  if (!shaped || ofNotes !== (found.cell === null) || ofNotes !== found.notes.length > 0) throw sealBroken();
  const notes = found.notes.map((note) => exactly(note, ["contact", "sealed"]));
  if (new Set(notes.map((note) => note.contact)).size !== notes.length) throw sealBroken();
  for (const id of [found.case, found.portfolio, found.placement ?? found.case]) idBytes(id);
  const bytesOrNull = (text, length) => (text === null ? null : fromBase64(text, length));
  return {
    ...found,
    cell: bytesOrNull(found.cell),
    notes: notes.map(({ contact, sealed }) => ({ contact, raw: idBytes(contact), sealed: fromBase64(sealed) })),
    grant: readGrant(found.grant),
    lease: bytesOrNull(found.lease),
    salt: bytesOrNull(found.salt, 32),
  };
}

function publicKey(signingKeys, granter) {
  if (!Object.hasOwn(signingKeys, granter)) throw new Refused("key_unpinned");
  return fromBase64(signingKeys[granter]);
}

/** The grant is of this portfolio, class and epoch, and its terms are of this placement and case. */
async function requireAgreement(found) {
  const { portfolio, kind, epoch, terms } = found.grant;
  const same = portfolio === found.portfolio && kind === found.class && epoch === found.epoch;
  if (!same || (terms && terms.placement !== found.placement)) throw new Refused("terms_changed");
  if (terms?.kind !== "case") return;
  if (terms.case !== found.case || terms.reference !== found.reference) throw new Refused("terms_changed");
  if (found.version < terms.version) throw new Refused("version_rolled_back");
  const digest = hex(await digestOf(found));
  if (found.version !== terms.version || digest !== terms.cell_digest) throw new Refused("terms_changed");
}

/** Of the cell, or of the notes' digests one after the other. */
async function digestOf({ cell, notes }) {
  if (cell !== null) return sha256(cell);
  return sha256(concat(...(await Promise.all(notes.map(({ sealed }) => sha256(sealed))))));
}

/** The case key out of what the grant wraps: a class key, the case key itself, or the key of the leases. */
async function caseKeyOf(found, granted) {
  const { terms } = found.grant;
  const portfolio = idBytes(found.portfolio);
  if (terms === null) {
    if (found.salt === null) throw sealBroken();
    return { key: await caseKey(granted, portfolio, utf8(found.reference), found.salt), version: 0 };
  }
  if (terms.kind === "case") return { key: granted, version: 0 };
  if (found.lease === null || found.placement === null) throw sealBroken();
  const [placement, id] = [idBytes(found.placement), idBytes(found.case)];
  return openLease(granted, { placement, case: id, fieldClass: found.class, epoch: found.epoch }, found.lease);
}

async function openFields(found, leased, memory) {
  if (found.version < leased.version) throw new Refused("version_rolled_back");
  const name = {
    portfolio: idBytes(found.portfolio),
    reference: utf8(found.reference),
    fieldClass: found.class,
    version: found.version,
  };
  const fields = await openCell(leased.key, name, found.cell);
  memory.takeVersion(`${found.case}/${found.class}`, found.version);
  return Object.fromEntries(Object.entries(fields).map(([field, value]) => [field, String(value)]));
}

async function openNotes(found, key) {
  const opened = {};
  for (const { contact, raw, sealed } of found.notes) {
    if (epochOf(sealed) !== found.epoch) throw sealBroken();
    const name = { portfolio: idBytes(found.portfolio), reference: utf8(found.reference), contact: raw };
    opened[contact] = await openNote(key, name, sealed);
  }
  return opened;
}

// One case's field class, and one contact's note: each opens in its own place alone.
import { bigEndian, canonical, concat, decimal, fromUtf8, lp, utf8 } from "./bytes.js";
import * as cobblestone from "./cobblestone.js";
import { expand } from "./hashes.js";
import { orRefused, sealBroken } from "./refusals.js";

const PAD_BYTES = 64;
const EPOCH_BYTES = 2;

/**
 * Where a cell belongs.
 * @typedef {{portfolio: Uint8Array, reference: Uint8Array, fieldClass: string, version: number}} CellName
 * Where a note belongs.
 * @typedef {{portfolio: Uint8Array, reference: Uint8Array, contact: Uint8Array}} NoteName
 */

/** The 32-byte key of one case in one field class; without the case's salt it is gone. */
export function caseKey(classKey, portfolio, reference, salt) {
  return expand("SHA-512", classKey, concat(utf8("consign/case/1\0"), lp(portfolio, reference, salt)), 32);
}

/** @param {CellName} name */
const cellContext = ({ portfolio, reference, fieldClass, version }) =>
  concat(utf8("consign/cell/1\0"), lp(portfolio, reference, utf8(fieldClass), decimal(version)));

/** @param {NoteName} name */
const noteContext = ({ portfolio, reference, contact }) =>
  concat(utf8("consign/note/1\0"), lp(portfolio, reference, contact));

/** The fields. @param {Uint8Array} key @param {CellName} name @param {Uint8Array} sealed */
export function openCell(key, name, sealed) {
  return orRefused("seal_broken", async () => {
    const padded = await cobblestone.open(key, cellContext(name), sealed);
    const end = padded.lastIndexOf(0x80);
    if (end < 0 || padded.length !== paddedLength(end) || padded.subarray(end + 1).some(Boolean)) throw sealBroken();
    const text = fromUtf8(padded.subarray(0, end));
    const fields = JSON.parse(text);
    if (!text.startsWith("{") || canonical(fields) !== text) throw sealBroken();
    return fields;
  });
}

/** @param {Uint8Array} key @param {CellName} name @param {Record<string, unknown>} fields */
export async function sealCell(key, name, fields) {
  const text = utf8(canonical(fields));
  const padded = new Uint8Array(paddedLength(text.length));
  padded.set(concat(text, Uint8Array.of(0x80)));
  return cobblestone.seal(key, cellContext(name), padded);
}

const paddedLength = (textLength) => (Math.floor(textLength / PAD_BYTES) + 1) * PAD_BYTES;

/** Of the class key under which a note was sealed. @param {Uint8Array} sealed */
export const epochOf = (sealed) => 256 * sealed[0] + sealed[1];

/** The text. @param {Uint8Array} key @param {NoteName} name @param {Uint8Array} sealed */
export function openNote(key, name, sealed) {
  return orRefused("seal_broken", async () => {
    const padded = await cobblestone.open(key, noteContext(name), sealed.subarray(EPOCH_BYTES));
    return fromUtf8(padded).replace(/\0+$/, "");
  });
}

/** No note holds a zero byte, so zeros hide its length and fall off again. */
export async function sealNote(key, epoch, name, text) {
  const plain = utf8(text);
  const padded = new Uint8Array(Math.ceil(plain.length / PAD_BYTES) * PAD_BYTES);
  padded.set(plain);
  return concat(bigEndian(epoch, EPOCH_BYTES), await cobblestone.seal(key, noteContext(name), padded));
}

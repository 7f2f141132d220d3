// Leased keys: one placed case's key of one class, sealed under the lease key that its lender granted.
import { concat, decimal, lp, utf8 } from "./bytes.js";
import * as cobblestone from "./cobblestone.js";
import { sealBroken } from "./refusals.js";

const KEY_BYTES = 32;

/**
 * Which case's key a sealed lease holds; ids as raw bytes.
 * @typedef {{placement: Uint8Array, case: Uint8Array, fieldClass: string, epoch: number}} LeaseName
 */

/** @param {LeaseName} name */
const context = (name) =>
  concat(utf8("consign/lease/1\0"), lp(name.placement, name.case, utf8(name.fieldClass), decimal(name.epoch)));

/**
 * The case key, and the cell's version when it was leased: a lower one is an old cell brought back.
 * @param {Uint8Array} leaseKey @param {LeaseName} name @param {Uint8Array} sealed
 */
export async function openLease(leaseKey, name, sealed) {
  const plain = await cobblestone.open(leaseKey, context(name), sealed);
  if (plain.length !== KEY_BYTES + 4) throw sealBroken();
  return { key: plain.subarray(0, KEY_BYTES), version: new DataView(plain.buffer).getUint32(KEY_BYTES) };
}

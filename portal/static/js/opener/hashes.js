// HMAC, HKDF's second half and SHA-256, on WebCrypto.
import { bigEndian, concat } from "./bytes.js";

const HASH_BYTES = { "SHA-256": 32, "SHA-512": 64 };

/** @param {Uint8Array} message */
export const sha256 = async (message) => new Uint8Array(await crypto.subtle.digest("SHA-256", message));

/** @param {keyof HASH_BYTES} hash @param {Uint8Array} key not empty @param {Uint8Array} message */
export async function hmac(hash, key, message) {
  const held = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", held, message));
}

/**
 * HKDF-Expand (RFC 5869). WebCrypto's own HKDF always extracts first.
 * @param {keyof HASH_BYTES} hash @param {Uint8Array} key @param {Uint8Array} info @param {number} length
 */
export async function expand(hash, key, info, length) {
  const blocks = [];
  let block = new Uint8Array();
  for (let number = 1; (number - 1) * HASH_BYTES[hash] < length; number += 1) {
    block = await hmac(hash, key, concat(block, info, bigEndian(number, 1)));
    blocks.push(block);
  }
  return concat(...blocks).subarray(0, length);
}

// Sealed bytes: Cobblestone-256 (C2SP chunked encryption v1, AES-256-GCM), whole.
//
// `salt(24) ‖ commitment(32) ‖ chunks`; chunks of 16 KiB, the last always shorter and possibly empty.
import { concat, equal, utf8 } from "./bytes.js";
import { expand } from "./hashes.js";
import { orRefused, sealBroken } from "./refusals.js";

const SALT_BYTES = 24;
const HEADER_BYTES = SALT_BYTES + 32;
const CHUNK_BYTES = 16 * 1024;
const BLOCK_BYTES = CHUNK_BYTES + 16;
const LABEL = utf8("c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0");

async function derive(key, context, salt) {
  if (key.length !== 32) throw sealBroken();
  const okm = await expand("SHA-512", key, concat(LABEL, salt, context), 76);
  const aead = await crypto.subtle.importKey("raw", okm.subarray(0, 32), "AES-GCM", false, ["encrypt", "decrypt"]);
  return { aead, nonce: okm.subarray(32, 44), commitment: okm.subarray(44) };
}

/** The base nonce XOR the chunk's number; 32 bits of it count 64 TiB. */
function gcm(base, number) {
  const iv = base.slice();
  const tail = new DataView(iv.buffer, 8);
  tail.setUint32(0, tail.getUint32(0) ^ number);
  return { name: "AES-GCM", iv };
}

/**
 * The plaintext, whole, or the refusal.
 * @param {Uint8Array} key @param {Uint8Array} context @param {Uint8Array} sealed
 */
export function open(key, context, sealed) {
  return orRefused("seal_broken", async () => {
    if (sealed.length < HEADER_BYTES) throw sealBroken();
    const { aead, nonce, commitment } = await derive(key, context, sealed.subarray(0, SALT_BYTES));
    if (!equal(commitment, sealed.subarray(SALT_BYTES, HEADER_BYTES))) throw sealBroken();
    const chunks = [];
    for (let number = 0, block; number === 0 || block.length === BLOCK_BYTES; number += 1) {
      const start = HEADER_BYTES + number * BLOCK_BYTES;
      block = sealed.subarray(start, start + BLOCK_BYTES);
      chunks.push(new Uint8Array(await crypto.subtle.decrypt(gcm(nonce, number), aead, block)));
    }
    return concat(...chunks);
  });
}

/**
 * @param {Uint8Array} key @param {Uint8Array} context @param {Uint8Array} plaintext
 * @param {Uint8Array} [salt] chosen by tests alone
 */
export async function seal(key, context, plaintext, salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES))) {
  const { aead, nonce, commitment } = await derive(key, context, salt);
  const parts = [salt, commitment];
  for (let start = 0, number = 0; start <= plaintext.length; start += CHUNK_BYTES, number += 1) {
    const chunk = plaintext.subarray(start, start + CHUNK_BYTES);
    parts.push(new Uint8Array(await crypto.subtle.encrypt(gcm(nonce, number), aead, chunk)));
  }
  return concat(...parts);
}

// HPKE (RFC 9180), base mode, one suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
import { bigEndian, concat, utf8 } from "./bytes.js";
import { expand, hmac } from "./hashes.js";
import { orRefused, sealBroken } from "./refusals.js";

export const ENC_BYTES = 32;

const VERSION = utf8("HPKE-v1");
const KEM = concat(utf8("KEM"), bigEndian(0x0020, 2));
const SUITE = concat(utf8("HPKE"), bigEndian(0x0020, 2), bigEndian(0x0001, 2), bigEndian(0x0002, 2));
const NOTHING = new Uint8Array();
const NO_SALT = new Uint8Array(32); // What HMAC makes of an empty key, which WebCrypto would not take.
// An X25519 private key as PKCS #8: what stands before its 32 bytes.
const PKCS8_HEAD = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20);

const labeledExtract = (suite, salt, label, secret) =>
  hmac("SHA-256", salt, concat(VERSION, suite, utf8(label), secret));

const labeledExpand = (suite, key, label, info, length) =>
  expand("SHA-256", key, concat(bigEndian(length, 2), VERSION, suite, utf8(label), info), length);

/** A private key that no script can read back. @param {Uint8Array} seed 32 bytes @returns {Promise<CryptoKey>} */
export const importPrivate = (seed) =>
  crypto.subtle.importKey("pkcs8", concat(PKCS8_HEAD, seed), "X25519", false, ["deriveBits"]);

/** WebCrypto refuses the points that would make the shared secret known to all. */
async function diffieHellman(privateKey, publicKey) {
  const held = await crypto.subtle.importKey("raw", publicKey, "X25519", false, []);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: held }, privateKey, 256));
}

async function sharedSecret(privateKey, publicKey, kemContext) {
  const prk = await labeledExtract(KEM, NO_SALT, "eae_prk", await diffieHellman(privateKey, publicKey));
  return labeledExpand(KEM, prk, "shared_secret", kemContext, 32);
}

/**
 * The shared secret for who holds the recipient's private key.
 * @param {Uint8Array} enc @param {CryptoKey} privateKey @param {Uint8Array} recipientPublic 32 raw bytes
 */
export const decapsulate = (enc, privateKey, recipientPublic) =>
  sharedSecret(privateKey, enc, concat(enc, recipientPublic));

/**
 * A shared secret for a recipient, and what tells it to them.
 * @param {Uint8Array} recipientPublic
 * @param {{privateKey: CryptoKey, public: Uint8Array}} ephemeral a key pair used once
 */
export const encapsulate = (recipientPublic, ephemeral) =>
  sharedSecret(ephemeral.privateKey, recipientPublic, concat(ephemeral.public, recipientPublic));

/** @param {Uint8Array} shared @param {Uint8Array} info */
export async function keySchedule(shared, info) {
  const pskIdHash = await labeledExtract(SUITE, NO_SALT, "psk_id_hash", NOTHING);
  const infoHash = await labeledExtract(SUITE, NO_SALT, "info_hash", info);
  const context = concat(bigEndian(0, 1), pskIdHash, infoHash);
  const secret = await labeledExtract(SUITE, shared, "secret", NOTHING);
  return {
    key: await labeledExpand(SUITE, secret, "key", context, 32),
    nonce: await labeledExpand(SUITE, secret, "base_nonce", context, 12),
  };
}

/**
 * The single-shot opening of `enc ‖ ciphertext`.
 * @param {Uint8Array} sealed @param {CryptoKey} privateKey @param {Uint8Array} recipientPublic @param {Uint8Array} info
 */
export function open(sealed, privateKey, recipientPublic, info) {
  return orRefused("seal_broken", async () => {
    if (sealed.length < ENC_BYTES) throw sealBroken();
    const shared = await decapsulate(sealed.subarray(0, ENC_BYTES), privateKey, recipientPublic);
    const { key, nonce } = await keySchedule(shared, info);
    const aead = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
    return new Uint8Array(
      await crypto.subtle.decrypt({ name: "AES-GCM", iv: nonce }, aead, sealed.subarray(ENC_BYTES)),
    );
  });
}

/**
 * The single-shot sealing to a recipient: `enc ‖ ciphertext`.
 * @param {Uint8Array} plaintext @param {Uint8Array} recipientPublic @param {Uint8Array} info
 */
export async function seal(plaintext, recipientPublic, info) {
  const pair = await crypto.subtle.generateKey("X25519", false, ["deriveBits"]);
  const enc = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const shared = await encapsulate(recipientPublic, { privateKey: pair.privateKey, public: enc });
  const { key, nonce } = await keySchedule(shared, info);
  const aead = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  return concat(enc, new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce }, aead, plaintext)));
}

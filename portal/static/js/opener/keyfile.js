// An organisation's own keys (`consign-key/1`): opened under a passphrase here, made here, and never sent anywhere.
import { base64, canonical, concat, decimal, exactly, fromBase64, fromUtf8, idBytes, lp, utf8 } from "./bytes.js";
import { SUITE_BYTES, signedBytes } from "./grants.js";
import * as hpke from "./hpke.js";
import { orRefused, readable, Refused } from "./refusals.js";

const FORMAT = "consign-key/1";
const PUBLIC_FORMAT = "consign-public/1";
const KDF = "PBKDF2-HMAC-SHA-256";
const ROUNDS_MIN = 600_000;
const ROUNDS_MAX = 10_000_000; // A file that asks for more would only freeze the page.
const NONCE_BYTES = 12;

/**
 * What opening needs of a key file; the private key cannot be read back by any script.
 * @typedef {{organisation: string, kem: CryptoKey, kemPublic: Uint8Array, signingPublic: Uint8Array}} OwnKeys
 */

async function stretched(passphrase, salt, rounds) {
  const typed = await crypto.subtle.importKey("raw", utf8(passphrase.normalize("NFC")), "PBKDF2", false, ["deriveKey"]);
  const kdf = { name: "PBKDF2", hash: "SHA-256", salt, iterations: rounds };
  return crypto.subtle.deriveKey(kdf, typed, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}

const bound = (organisation, rounds, salt, kemPublic, signingPublic) =>
  concat(utf8("consign/key-file/1\0"), lp(idBytes(organisation), decimal(rounds), salt, kemPublic, signingPublic));

function read(text) {
  const file = exactly(JSON.parse(text), ["format", "organisation", "kdf", "public", "sealed"]);
  if (file.format !== FORMAT) throw new Refused("key_file_format");
  const kdf = exactly(file.kdf, ["name", "rounds", "salt"]);
  if (kdf.name !== KDF || !Number.isSafeInteger(kdf.rounds)) throw new Refused("key_file_format");
  if (kdf.rounds < ROUNDS_MIN || kdf.rounds > ROUNDS_MAX) throw new Refused("key_file_rounds");
  const { kem, signing } = exactly(file.public, ["kem", "signing"]);
  idBytes(file.organisation);
  return {
    organisation: file.organisation,
    rounds: kdf.rounds,
    salt: fromBase64(kdf.salt, 16),
    kemPublic: fromBase64(kem),
    signingPublic: fromBase64(signing, 32),
    sealed: fromBase64(file.sealed),
  };
}

/**
 * @param {string} text of the key file
 * @param {string} passphrase
 * @returns {Promise<OwnKeys>}
 */
export async function openKeyFile(text, passphrase) {
  const file = await readable("key_file_malformed", () => read(text));
  if (file.kemPublic[0] !== SUITE_BYTES.x25519) throw new Refused("suite_not_here");
  const { organisation, rounds, salt, kemPublic, signingPublic, sealed } = file;
  const key = await stretched(passphrase, salt, rounds);
  const plain = await orRefused("passphrase_wrong", () =>
    crypto.subtle.decrypt(
      {
        name: "AES-GCM",
        iv: sealed.subarray(0, NONCE_BYTES),
        additionalData: bound(organisation, rounds, salt, kemPublic, signingPublic),
      },
      key,
      sealed.subarray(NONCE_BYTES),
    ),
  );
  const { kem } = await readable("key_file_malformed", () => JSON.parse(fromUtf8(new Uint8Array(plain))));
  const seed = await readable("key_file_malformed", () => fromBase64(kem.seed, 32));
  return { organisation, kem: await hpke.importPrivate(seed), kemPublic, signingPublic };
}

const newPair = async (name, uses) => {
  const pair = await crypto.subtle.generateKey(name, true, uses);
  const seed = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey)).slice(-32);
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  return { privateKey: pair.privateKey, seed, public: raw };
};

/**
 * New keys for an organisation: the key file to keep, and the public file to publish.
 * @param {string} organisation its id
 * @param {string} passphrase
 */
export async function makeKeyFile(organisation, passphrase, rounds = ROUNDS_MIN) {
  const kem = await newPair("X25519", ["deriveBits"]);
  const signing = await newPair("Ed25519", ["sign", "verify"]);
  const kemPublic = concat(Uint8Array.of(SUITE_BYTES.x25519), kem.public);
  const [salt, nonce, index] = [16, NONCE_BYTES, 32].map((length) => crypto.getRandomValues(new Uint8Array(length)));
  const named = { kem: base64(kemPublic), signing: base64(signing.public) };
  const plain = canonical({
    index: base64(index),
    kem: { seed: base64(kem.seed), suite: "x25519" },
    signing: base64(signing.seed),
  });
  const sealing = { name: "AES-GCM", iv: nonce, additionalData: bound(organisation, rounds, salt, kemPublic, signing.public) };
  const sealed = await crypto.subtle.encrypt(sealing, await stretched(passphrase, salt, rounds), utf8(plain));
  const unsigned = { format: PUBLIC_FORMAT, organisation, ...named };
  const message = signedBytes("key", utf8(canonical(unsigned)));
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", signing.privateKey, message));
  const keyFile = {
    format: FORMAT,
    organisation,
    kdf: { name: KDF, rounds, salt: base64(salt) },
    public: named,
    sealed: base64(concat(nonce, new Uint8Array(sealed))),
  };
  return {
    keyFile: `${JSON.stringify(keyFile)}\n`,
    publicFile: `${JSON.stringify({ ...unsigned, signature: base64(signature) })}\n`,
  };
}

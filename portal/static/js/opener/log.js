// An exported audit log (`consign-log/1`), checked line by line: each in exactly one spelling, all of them under one
// root (RFC 6962) that the pinned key signed, and the beginning as it was seen before.
import { bigEndian, concat, equal, fromBase64, fromUtf8, hex, utf8 } from "./bytes.js";
import { sha256 } from "./hashes.js";
import { readable, Refused } from "./refusals.js";

const FORMAT = "consign-log/1";
const LINE_BYTES_MAX = 1 << 20;
const ED25519 = 1;
const KEY = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/;
const NOTE = /^(([^\n]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/=]+)\n)\n— (\S+) (\S+)\n$/;

/**
 * What a log that stands says: its origin, how many entries it has, and its root in hex.
 * @typedef {{origin: string, size: number, root: string}} Checkpoint
 */

/** The right edge of a growing tree: one hash per complete subtree, largest first. */
class Frontier {
  size = 0;
  #hashes = [];

  async append(leaf) {
    let hash = leaf;
    for (let carry = this.size; carry % 2; carry = Math.floor(carry / 2)) hash = await nodeHash(this.#hashes.pop(), hash);
    this.#hashes.push(hash);
    this.size += 1;
  }

  async root() {
    if (!this.#hashes.length) return sha256(new Uint8Array());
    let root = this.#hashes.at(-1);
    for (const left of this.#hashes.slice(0, -1).reverse()) root = await nodeHash(left, root);
    return root;
  }
}

const nodeHash = (left, right) => sha256(concat(bigEndian(1, 1), left, right));
const leafHash = async (salt, entry) => sha256(concat(bigEndian(0, 1), await sha256(concat(salt, utf8(entry)))));

/** A verifier key `NAME+HASH+KEY`, as its owner told it. @param {string} typed */
export function readVerifierKey(typed) {
  return readable("log_key_malformed", async () => {
    const [, name, digest, body] = KEY.exec(typed.trim());
    const raw = fromBase64(body, 33);
    const id = (await sha256(concat(utf8(`${name}\n`), raw))).subarray(0, 4);
    if (raw[0] !== ED25519 || hex(id) !== digest) throw new Refused("log_key_malformed");
    return { name, id, public: raw.subarray(1) };
  });
}

/**
 * The log's checkpoint, or the refusal with the number of the first bad line.
 * @param {AsyncIterable<Uint8Array>} chunks of the file
 * @param {Awaited<ReturnType<typeof readVerifierKey>>} key
 * @param {(origin: string) => Promise<Checkpoint | undefined>} seen the last checkpoint of a log, where one is known
 * @returns {Promise<Checkpoint>}
 */
export async function verifyLog(chunks, key, seen) {
  const lines = linesOf(chunks);
  const { origin, size } = await next(lines, 1, readHeader);
  const before = await seen(origin);
  if (before && before.size > size) throw new Refused("log_rolled_back");
  const frontier = new Frontier();
  for (;;) {
    if (before?.size === frontier.size && before.root !== hex(await frontier.root())) throw new Refused("log_forked");
    if (frontier.size === size) break;
    const { salt, entry } = await next(lines, frontier.size + 2, (text) => readEntry(text, frontier.size));
    await frontier.append(await leafHash(salt, entry));
  }
  const root = await frontier.root();
  await next(lines, size + 2, (text) => checkTrailer(text, key, origin, size, root));
  if (!(await lines.next()).done) throw new Refused("log_broken", size + 3);
  return { origin, size, root: hex(root) };
}

async function next(lines, number, read) {
  try {
    return await read((await lines.next()).value);
  } catch {
    throw new Refused("log_broken", number);
  }
}

/** Lines as text, each with its newline. */
async function* linesOf(chunks) {
  let rest = new Uint8Array();
  for await (const chunk of chunks) {
    rest = concat(rest, chunk);
    let start = 0;
    for (let end = rest.indexOf(10) + 1; end; end = rest.indexOf(10, start) + 1) {
      yield fromUtf8(rest.subarray(start, end));
      start = end;
    }
    rest = rest.slice(start);
    if (rest.length > LINE_BYTES_MAX) throw new Refused("log_broken");
  }
  if (rest.length) yield fromUtf8(rest);
}

/** Whoever reads a line spells it again and compares: members twice, spaces and other escapes do not slip in. */
function spelt(text, spelling) {
  if (text !== `${spelling}\n`) throw new Refused("log_broken");
}

function readHeader(text) {
  const { origin, size } = JSON.parse(text);
  spelt(text, `{"format":"${FORMAT}","origin":${JSON.stringify(origin)},"size":${size}}`);
  if (typeof origin !== "string" || !Number.isSafeInteger(size) || size < 0) throw new Refused("log_broken");
  return { origin, size };
}

function readEntry(text, index) {
  const { salt, entry } = JSON.parse(text);
  spelt(text, `{"index":${index},"salt":${JSON.stringify(salt)},"entry":${JSON.stringify(entry)}}`);
  if (typeof entry !== "string") throw new Refused("log_broken");
  return { salt: fromBase64(salt, 32), entry };
}

async function checkTrailer(text, key, origin, size, root) {
  const { checkpoint } = JSON.parse(text);
  spelt(text, `{"checkpoint":${JSON.stringify(checkpoint)}}`);
  const [, signed, named, count, body, signer, signature] = NOTE.exec(checkpoint);
  const raw = fromBase64(signature, 68);
  const same = named === origin && signer === origin && key.name === origin && count === String(size);
  if (!same || !equal(fromBase64(body, 32), root) || !equal(raw.subarray(0, 4), key.id)) throw new Refused("log_broken");
  const held = await crypto.subtle.importKey("raw", key.public, "Ed25519", false, ["verify"]);
  if (!(await crypto.subtle.verify("Ed25519", held, raw.subarray(4), utf8(signed)))) throw new Refused("log_broken");
}

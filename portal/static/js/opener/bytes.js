// Bytes and their spellings: length prefixes, ids, hex, strict base64, and JSON with exactly one spelling (RFC 8785).
import { Refused, sealBroken } from "./refusals.js";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @param {string} text */
export const utf8 = (text) => encoder.encode(text);

/** The text, or TypeError for what is not UTF-8. @param {Uint8Array} bytes */
export const fromUtf8 = (bytes) => decoder.decode(bytes);

/** @param {number} number of a counter; its ASCII decimals */
export const decimal = (number) => utf8(String(number));

/** @param {...Uint8Array} parts @returns {Uint8Array} */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** `number` in `length` big-endian bytes. @param {number} number @param {number} length */
export const bigEndian = (number, length) =>
  Uint8Array.from({ length }, (_, at) => Math.floor(number / 256 ** (length - 1 - at)) % 256);

/** Each value behind its length in 4 big-endian bytes, so that neighbours never run together. @param {...Uint8Array} values */
export const lp = (...values) => concat(...values.flatMap((value) => [bigEndian(value.length, 4), value]));

/** @param {Uint8Array} one @param {Uint8Array} other */
export const equal = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

/** @param {Uint8Array} bytes */
export const hex = (bytes) => bytes.toHex();

/** @param {Uint8Array} bytes */
export const base64 = (bytes) => bytes.toBase64();

/**
 * Base64 in its one canonical spelling.
 * @param {unknown} text
 * @param {number} [length] of the bytes, where it is fixed
 */
export function fromBase64(text, length) {
  if (typeof text !== "string") throw sealBroken();
  let bytes;
  try {
    bytes = Uint8Array.fromBase64(text);
  } catch {
    throw sealBroken();
  }
  if (base64(bytes) !== text || (length !== undefined && bytes.length !== length)) throw sealBroken();
  return bytes;
}

/** The 16 bytes of an id. @param {unknown} text */
export function idBytes(text) {
  if (typeof text !== "string" || !UUID.test(text)) throw sealBroken();
  return Uint8Array.fromHex(text.replaceAll("-", ""));
}

/**
 * The value's only spelling, for strings, integers, nulls, arrays and objects.
 * @param {unknown} value
 * @returns {string}
 */
export function canonical(value) {
  if (typeof value === "string" && value.isWellFormed()) return JSON.stringify(value);
  if (Number.isSafeInteger(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical)}]`;
  if (value === null) return "null";
  if (typeof value !== "object") throw sealBroken();
  const names = Object.keys(value).sort(); // By UTF-16 code units, as RFC 8785 has it.
  return `{${names.map((name) => `${canonical(name)}:${canonical(value[name])}`)}}`;
}

/**
 * An object with exactly these members, or the refusal.
 * @param {unknown} value
 * @param {string[]} names
 * @param {string} [code]
 * @returns {Record<string, any>}
 */
export function exactly(value, names, code = "seal_broken") {
  const given = value && typeof value === "object" && !Array.isArray(value) ? Object.keys(value).sort() : [];
  if (!names.length || given.join() !== [...names].sort().join()) throw new Refused(code);
  return value;
}

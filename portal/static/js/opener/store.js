// What this browser keeps from page to page: the unlocked key, which no script can read back, and the memory.
import { Memory } from "./memory.js";

const UNLOCKED_HOURS = 8;
const SHELF = "own";

const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

async function onShelf(mode, act) {
  const opening = indexedDB.open("consign", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(SHELF);
  const database = await settled(opening);
  try {
    return await settled(act(database.transaction(SHELF, mode).objectStore(SHELF)));
  } finally {
    database.close();
  }
}

/** What lies at a place, or undefined. @param {...string} place */
export const find = (...place) => onShelf("readonly", (shelf) => shelf.get(place));
/** @param {unknown} value @param {...string} place */
export const put = (value, ...place) => onShelf("readwrite", (shelf) => shelf.put(value, place));

/** @param {import("./keyfile.js").OwnKeys} keys */
export function unlock(keys) {
  return put({ ...keys, until: Date.now() + UNLOCKED_HOURS * 3_600_000 }, keys.organisation, "keys");
}

/** The organisation's unlocked keys and until when, or null. @param {string} organisation */
export async function findKeys(organisation) {
  const keys = await find(organisation, "keys");
  if (keys && keys.until > Date.now()) return keys;
  if (keys) await lock(organisation);
  return null;
}

/** @param {string} organisation */
export const lock = (organisation) => onShelf("readwrite", (shelf) => shelf.delete([organisation, "keys"]));

/**
 * Let `act` use and change the memory, which is kept if `act` succeeds. One page of this browser at a time, so
 * that none forgets what another has learnt.
 * @template T
 * @param {string} organisation
 * @param {(memory: Memory) => Promise<T>} act
 * @returns {Promise<T>}
 */
export function withMemory(organisation, act) {
  return navigator.locks.request(`consign-memory-${organisation}`, async () => {
    const kept = await find(organisation, "memory");
    const memory = kept ? Memory.parse(kept.text) : new Memory();
    const result = await act(memory);
    await put({ text: memory.text(), saved: kept?.saved ?? new Memory().news() }, organisation, "memory");
    return result;
  });
}

/** The memory, whether there is any, and whether it holds what the file last loaded or saved does not. */
export async function readMemory(organisation) {
  const kept = await find(organisation, "memory");
  const memory = kept ? Memory.parse(kept.text) : new Memory();
  return { memory, isKept: Boolean(kept), isNew: memory.news() !== (kept?.saved ?? new Memory().news()) };
}

/** What a file holds is no news any more. @param {string} organisation @param {Memory} onFile */
export function noteSaved(organisation, onFile) {
  return navigator.locks.request(`consign-memory-${organisation}`, async () => {
    const kept = await find(organisation, "memory");
    await put({ text: kept.text, saved: onFile.news() }, organisation, "memory");
  });
}

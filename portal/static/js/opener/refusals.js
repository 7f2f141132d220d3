// The one way in which opening refuses: a code, which the page says in the reader's language.
//
//   seal_broken      sealed bytes, a wrap or a package do not open or are not what they claim; never said why
//   key_unpinned key_changed suite_downgraded wrap_retargeted wrap_unsigned wrap_replayed wrap_expired
//   terms_changed epoch_rolled_back version_rolled_back clock_behind
//                    the server sent something that an honest one would not
//   key_file_…, memory_…, passphrase_…, suite_not_here, keys_locked, browser_too_old
//                    something at this end is missing; the sentence says what to do
//   log_…            an exported log does not stand

export class Refused extends Error {
  /** @param {string} code @param {number} [line] of a file, from 1 */
  constructor(code, line) {
    super(code);
    this.code = code;
    this.line = line;
  }
}

export const sealBroken = () => new Refused("seal_broken");

/**
 * Whatever goes wrong inside is one refusal: an error's own text or cause would tell what was inside.
 * @template T
 * @param {string} code
 * @param {() => T | Promise<T>} act
 * @returns {Promise<T>}
 */
export async function orRefused(code, act) {
  try {
    return await act();
  } catch (error) {
    throw error instanceof Refused ? error : new Refused(code);
  }
}

/**
 * The same for reading what a person gave: it says what it is that cannot be read, whatever in it cannot.
 * @template T
 * @param {string} code
 * @param {() => T | Promise<T>} read
 * @returns {Promise<T>}
 */
export async function readable(code, read) {
  try {
    return await read();
  } catch (error) {
    throw error instanceof Refused && error.code !== "seal_broken" ? error : new Refused(code);
  }
}

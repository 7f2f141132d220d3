// A page of its own for the opener's modules: a test names a module's function and gives it arguments, bytes as
// {"$bytes": base64}, and gets back {"value"} or {"refused": code}.
globalThis.bench = (() => {
  const module = (name) => import(`/static/js/opener/${name}.js`);

  const revive = (value) => {
    if (Array.isArray(value)) return value.map(revive);
    if (value === null || typeof value !== "object") return value;
    if ("$bytes" in value) return Uint8Array.fromBase64(value.$bytes);
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, revive(one)]));
  };

  const tell = (value) => {
    if (value instanceof Uint8Array) return { $bytes: value.toBase64() };
    if (value instanceof CryptoKey) return `${value.type} ${value.algorithm.name} ${value.extractable}`;
    if (Array.isArray(value)) return value.map(tell);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, tell(one)]));
  };

  async function outcome(act) {
    try {
      return { value: tell(await act()) };
    } catch (error) {
      return { refused: error.code ?? `${error}`, also: error.cause === undefined ? [] : [`${error.cause}`] };
    }
  }

  /** The key that the HPKE and grant functions take, from its 32 bytes. */
  async function withPrivate(args) {
    const { importPrivate } = await module("hpke");
    const made = async (value) => {
      if (value === null || typeof value !== "object" || value instanceof Uint8Array) return value;
      if ("$private" in value) return importPrivate(value.$private);
      if ("$memory" in value) return (await module("memory")).Memory.parse(value.$memory);
      if (Array.isArray(value)) return Promise.all(value.map(made));
      const entries = Object.entries(value).map(async ([name, one]) => [name, await made(one)]);
      return Object.fromEntries(await Promise.all(entries));
    };
    return Promise.all(args.map(made));
  }

  async function run(name, called, args) {
    return (await module(name))[called](...(await withPrivate(revive(args))));
  }

  return {
    call: ([name, called, args]) => outcome(() => run(name, called, args)),

    /** How often each outcome comes when the bytes at `place` among the arguments have one bit flipped, each in turn. */
    async flipped([name, called, args, place]) {
      const counts = {};
      const sample = revive(args[place]);
      for (let bit = 0; bit < sample.length * 8; bit += 1) {
        const altered = sample.slice();
        altered[bit >> 3] ^= 1 << (bit & 7);
        const given = args.with(place, { $bytes: altered.toBase64() });
        const { refused } = await outcome(() => run(name, called, given));
        counts[refused ?? "opened"] = (counts[refused ?? "opened"] ?? 0) + 1;
      }
      return counts;
    },
  };
})();

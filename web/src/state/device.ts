// What the page keeps on this device: an id that its history goes by. Where storage is off, the page works without history.

const KEY = "asklake.device";

let unstored: string | undefined;

/** A random id. `crypto.randomUUID` exists only on https and localhost. */
export function randomId(): string {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The label of this device, made when it is first asked for. */
export function deviceId(): string {
  try {
    const stored = localStorage.getItem(KEY);
    if (stored) return stored;
    const made = unstored ?? randomId();
    localStorage.setItem(KEY, made);
    return made;
  } catch {
    unstored ??= randomId();
    return unstored;
  }
}

// Bytes as people read them, in steps of a thousand.
export function size(bytes: number): string {
  const steps: [number, string][] = [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]];
  for (const [step, name] of steps)
    if (bytes >= step) return `${(bytes / step).toLocaleString(undefined, { maximumFractionDigits: bytes / step < 10 ? 1 : 0 })} ${name}`;
  return `${bytes} bytes`;
}

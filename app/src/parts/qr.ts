// A QR code as the hub draws it (SVG), for an <img>: the page's policy lets no markup of others into the document.
import { useEffect, useState } from "preact/hooks";

export function useQr(svg: string | null | undefined): string | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (!svg) return undefined;
    const made = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [svg]);
  return url;
}

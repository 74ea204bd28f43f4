// An event's picture with the box of what was seen drawn over it. The box is a fraction of the frame.
import type { Box } from "../api";

export function Picture({ src, box, alt }: { src: string | null; box: Box | null; alt: string }) {
  // Beside words that say it all (alt is empty) its absence is no news either.
  if (!src)
    return (
      <div class="picture picture-none" {...(alt ? { role: "img", "aria-label": "No picture" } : { "aria-hidden": true })}>
        <span aria-hidden="true">no picture</span>
      </div>
    );
  return (
    <div class="picture">
      <img src={src} alt={alt} loading="lazy" decoding="async" />
      {box && (
        <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true" focusable="false">
          <rect x={box[0] * 100} y={box[1] * 100} width={box[2] * 100} height={box[3] * 100} vector-effect="non-scaling-stroke" />
        </svg>
      )}
    </div>
  );
}

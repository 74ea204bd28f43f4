// A quiet card for what is empty, missing or wrong: a title, and always the next step.
import type { ComponentChildren } from "preact";

export function Notice({ title, children }: { title: string; children: ComponentChildren }) {
  return <section class="notice"><h1>{title}</h1>{children}</section>;
}

// An error that a person should hear of at once.
export function Alert({ text }: { text: string | null }) {
  return <div role="alert" class={text ? "alert" : "alert alert-empty"}>{text}</div>;
}

// Answers of the hub that come when nobody waits for them any more: the page was left, or has asked anew. They are dropped, so that what
// is shown is what was asked for last, and nobody is led away from a page by what an earlier one wanted.
import { useEffect, useRef } from "preact/hooks";

export class Answers {
  private over = false;
  private asked = 0;

  // Whatever it is asked, until the page is left.
  of<T>(what: Promise<T>, take: (answer: T) => void, fail: (failed: Error) => void): Promise<void> {
    return this.when(() => !this.over, what, take, fail);
  }

  // The same question again and again, such as how something stands: an answer counts only until it is asked anew, or dropped.
  latest<T>(what: Promise<T>, take: (answer: T) => void, fail: (failed: Error) => void): Promise<void> {
    const own = ++this.asked;
    return this.when(() => !this.over && own === this.asked, what, take, fail);
  }

  // The answer under way is not wanted any more.
  drop(): void {
    this.asked++;
  }

  close(): void {
    this.over = true;
  }

  private when<T>(wanted: () => boolean, what: Promise<T>, take: (answer: T) => void, fail: (failed: Error) => void): Promise<void> {
    return what.then((answer) => { if (wanted()) take(answer); }, (failed: Error) => { if (wanted()) fail(failed); });
  }
}

// Those of one page. A page that shows one thing of many is given that one's id as its key, and so is another page for each.
export function useAnswers(): Answers {
  const answers = useRef<Answers | null>(null);
  answers.current ??= new Answers();
  useEffect(() => () => answers.current?.close(), []);
  return answers.current;
}

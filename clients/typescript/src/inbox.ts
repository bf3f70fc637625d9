/** Where results of a subscription are pushed. */
export interface Sink<T> {
  next(value: T): void;
  error(reason: unknown): void;
  complete(): void;
}

/** A sink whose values are taken out one by one, in order; an error comes after the values before it. */
export class Inbox<T> implements Sink<T> {
  private readonly values: T[] = [];
  private end: { reason: unknown } | 'completed' | undefined;
  private wake: () => void = () => {};

  next(value: T): void {
    if (this.end === undefined) this.values.push(value);
    this.wake();
  }

  error(reason: unknown): void {
    this.end ??= { reason };
    this.wake();
  }

  complete(): void {
    this.end ??= 'completed';
    this.wake();
  }

  /** The next value, or undefined after the last one. */
  async take(): Promise<T | undefined> {
    while (this.values.length === 0 && this.end === undefined) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    if (this.values.length > 0) return this.values.shift();
    if (this.end !== 'completed') throw this.end?.reason;
    return undefined;
  }
}

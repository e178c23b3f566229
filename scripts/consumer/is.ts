/** `is<T>()(value)` compiles if the type of the value is exactly T. */
export function is<T>(): <U>(value: U & (Same<T, U> extends true ? unknown : { expected: T })) => void {
  return () => {}
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false

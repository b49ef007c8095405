/** One value of a header that may come twice: the first. Undefined where it did not come. */
export function oneValue(header: string | string[] | null | undefined): string | undefined {
  return (Array.isArray(header) ? header[0] : header) ?? undefined;
}

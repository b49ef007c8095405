/** The dev model's numbered tokens: "1", " 2", " 3" … Where each ends in the text, in characters. */
export function tokenEnds(tokens: number): number[] {
  const ends: number[] = [];
  let end = 0;
  for (let i = 1; i <= tokens; i++) {
    end += String(i).length + (i === 1 ? 0 : 1);
    ends.push(end);
  }
  return ends;
}

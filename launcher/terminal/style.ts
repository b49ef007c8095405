/** Colours only where a person looks: on a terminal, unless NO_COLOR (https://no-color.org) or TERM=dumb says otherwise. */
export const isInteractive = Boolean(process.stdout.isTTY) && process.env.TERM !== "dumb" && !process.env.CI;
const isColoured = isInteractive && !process.env.NO_COLOR;

const paint = (code: number) => (text: string) => (isColoured ? `\x1b[${code}m${text}\x1b[39m\x1b[22m` : text);

export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);
export const yellow = paint(33);
export const blue = paint(34);
export const magenta = paint(35);
export const cyan = paint(36);

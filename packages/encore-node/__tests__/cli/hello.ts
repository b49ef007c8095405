/** GET /hello answers this text, the secret, and how the handler was reached. */
export const source = (text: string) => `import { api } from "encore.dev/api";
import { secret } from "encore.dev/config";
const greeting = secret("Greeting");
export const hello = api({ expose: true, method: "GET", path: "/hello" }, async (): Promise<{ text: string; secret: string }> => ({ text: "${text}", secret: greeting() }));
export const inner = api({ method: "GET", path: "/inner" }, async (): Promise<void> => {});
`;
export const BROKEN = `${source("broken")}api({}, async () => {});`;

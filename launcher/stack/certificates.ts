import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { connect, type DetailedPeerCertificate, rootCertificates } from "node:tls";

const HANDSHAKE_TIMEOUT_MS = 5_000;
const DEFAULT_HTTPS_PORT = 443;

/**
 * The certificate authorities that Letta should load, as PEM. It builds an HTTP client for every request, and loading the
 * usual bundle of 140 was 28 % of its CPU. So it gets only the organizations that vouch for the servers it will call; one
 * certificate when there are none, as the file must hold something. If a server cannot be asked, it gets the whole bundle.
 */
export async function certificatesFor(urls: readonly string[]): Promise<string> {
  const bundle = allCertificates();
  const [first] = bundle;
  const secure = urls.map((url) => new URL(url)).filter((url) => url.protocol === "https:");
  if (secure.length === 0 && first) return first.toString();
  const wanted = new Set<string>();
  for (const url of secure) {
    const organization = await rootOrganization(url, bundle);
    if (organization === undefined) return bundle.map(String).join("");
    wanted.add(organization);
  }
  return bundle
    .filter((certificate) => wanted.has(organizationOf(certificate.subject)))
    .map(String)
    .join("");
}

/** Node's own roots and those that the machine's owner added, as companies with an inspecting proxy do. */
function allCertificates(): X509Certificate[] {
  const files = [process.env.SSL_CERT_FILE, process.env.NODE_EXTRA_CA_CERTS].filter((file) => file && existsSync(file));
  const added = files.flatMap(
    (file) =>
      readFileSync(file as string, "utf8").match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? [],
  );
  const byFingerprint = new Map<string, X509Certificate>();
  for (const pem of [...rootCertificates, ...added]) {
    const certificate = new X509Certificate(pem);
    byFingerprint.set(certificate.fingerprint256, certificate);
  }
  return [...byFingerprint.values()];
}

async function rootOrganization(url: URL, bundle: readonly X509Certificate[]): Promise<string | undefined> {
  const last = await topOfChain(url);
  if (!last) return undefined;
  const issuer = new X509Certificate(last.raw).issuer;
  const root = bundle.find((certificate) => certificate.subject === issuer);
  return root && organizationOf(root.subject);
}

/** The last certificate that a server shows; its issuer is the root, or it is the root itself. */
function topOfChain(url: URL): Promise<DetailedPeerCertificate | undefined> {
  return new Promise((resolve) => {
    const port = Number(url.port) || DEFAULT_HTTPS_PORT;
    const socket = connect({
      host: url.hostname,
      port,
      servername: url.hostname,
      rejectUnauthorized: false,
      timeout: HANDSHAKE_TIMEOUT_MS,
    });
    const finish = (certificate?: DetailedPeerCertificate) => {
      socket.destroy();
      resolve(certificate);
    };
    socket.once("error", () => finish());
    socket.once("timeout", () => finish());
    socket.once("secureConnect", () => {
      let at = socket.getPeerCertificate(true);
      if (!at.raw) return finish();
      for (let depth = 0; depth < 10 && at.issuerCertificate && at.issuerCertificate !== at; depth++)
        at = at.issuerCertificate;
      finish(at);
    });
  });
}

/** `O=` of a name as Node prints it, one part a line; the whole name where there is none. */
function organizationOf(name: string): string {
  return name.match(/^O=(.+)$/m)?.[1] ?? name;
}

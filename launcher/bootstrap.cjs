// The first thing that runs, on any Node.js and without a single package: plain old JavaScript on purpose. It sees to it that Node.js is new
// enough and the packages are there, then hands over to main.ts in this same process.
"use strict";

var fs = require("node:fs");
var path = require("node:path");
var childProcess = require("node:child_process");

var NODE_MIN = [20, 19];
var NPM_TIMEOUT_MS = 10 * 60 * 1000;
var OUTPUT_CHARS_MAX = 20000;
var TICK_MS = 1000;

var root = path.dirname(__dirname);
var lockFile = path.join(root, "package-lock.json");
var installedLock = path.join(root, "node_modules", ".package-lock.json");
var sumFile = path.join(root, "node_modules", ".graphyn-lock-sum");
var claim = path.join(root, ".graphyn", "npm.pid");
var isTerminal = Boolean(process.stdout.isTTY) && !process.env.CI;

function fail(message, nextStep) {
  process.stderr.write(`\n${message}\n${nextStep}\n`);
  process.exit(1);
}

function checkNode() {
  var version = process.versions.node.split(".").map(Number);
  if (version[0] > NODE_MIN[0] || (version[0] === NODE_MIN[0] && version[1] >= NODE_MIN[1])) return;
  fail(
    `Graphyn needs Node.js ${NODE_MIN.join(".")} or newer, and this is ${process.versions.node}.`,
    "Install a newer one from https://nodejs.org or with your system's package manager, then run this again.",
  );
}

function lockSum() {
  return require("node:crypto").createHash("sha256").update(fs.readFileSync(lockFile)).digest("hex");
}

/**
 * npm writes its own copy of the lock last, so a killed installation leaves none and is done again. The sum of the lock that we installed
 * spares an installation when git only touched the file.
 */
function packagesAreThere() {
  try {
    if (fs.existsSync(installedLock) && fs.existsSync(sumFile) && fs.readFileSync(sumFile, "utf8") === lockSum())
      return true;
    return fs.statSync(installedLock).mtimeMs >= fs.statSync(lockFile).mtimeMs;
  } catch {
    return false;
  }
}

/** Two `npm ci` in one folder would delete each other's files. */
function claimInstallation() {
  var pid;
  try {
    pid = Number(fs.readFileSync(claim, "utf8"));
    process.kill(pid, 0);
    fail(
      `Another ./graphyn (pid ${pid}) is installing the npm packages.`,
      "Wait until it has finished, then run this again.",
    );
  } catch {
    // nobody, or one that is gone
  }
  fs.mkdirSync(path.dirname(claim), { recursive: true });
  fs.writeFileSync(claim, String(process.pid));
}

function installPackages(done) {
  claimInstallation();
  var startedAt = Date.now();
  var elapsed = () => `${Math.round((Date.now() - startedAt) / 1000)} s`.padStart(7);
  var show = (mark, text) =>
    process.stdout.write(`${isTerminal ? "\r\x1b[2K" : ""}  ${mark} npm packages ${elapsed()}  ${text}`);
  var timer = isTerminal ? setInterval(() => show("·", "installing"), TICK_MS) : undefined;
  // NODE_ENV=production would leave out tsx, which runs the launcher.
  var child = childProcess.spawn("npm", ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: NPM_TIMEOUT_MS,
  });
  var output = "";
  var take = (chunk) => {
    output = (output + chunk).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  child.on("error", (error) => take(error.message));
  child.on("close", (code) => {
    clearInterval(timer);
    fs.rmSync(claim, { force: true });
    show(code === 0 ? "✓" : "✗", code === 0 ? "installed\n" : "npm ci failed\n");
    if (code === 0) {
      fs.writeFileSync(sumFile, lockSum());
      return done();
    }
    fs.rmSync(installedLock, { force: true });
    fail(
      output.trimEnd().split("\n").slice(-12).join("\n"),
      "Check the network and the message above, then run this again.",
    );
  });
}

function handOver() {
  var toUrl = require("node:url").pathToFileURL;
  import("tsx/esm/api")
    .then((tsx) => {
      tsx.register();
      return import(toUrl(path.join(__dirname, "main.ts")).href);
    })
    .catch((error) => {
      console.error(error);
      process.exit(1);
    });
}

checkNode();
if (packagesAreThere()) handOver();
else installPackages(handOver);

/**
 * Loaded into a Graphyn process before everything else (`NODE_OPTIONS=--import`): SIGUSR2 sets its clock back by an hour, the next one puts it
 * right again. `Date` is shifted and nothing else: monotonic time goes on, as it does when an administrator sets a clock. libfaketime would do
 * the same to more of the process, and is not there on every machine that runs this.
 */
const BACK_MS = 3_600_000;
const Real = Date;
let shift = 0;

class Shifted extends Real {
  constructor(...given) {
    if (given.length === 0) super(Real.now() + shift);
    else super(...given);
  }
  static now() {
    return Real.now() + shift;
  }
}
globalThis.Date = Shifted;
process.on("SIGUSR2", () => {
  shift = shift === 0 ? -BACK_MS : 0;
});

/**
 * Something the person at the terminal can act on. `message` says in one sentence what is wrong, `nextStep` what to do.
 * The launcher prints these two lines and no stack trace; every other error is a defect of ours and is printed whole.
 */
export class Fault extends Error {
  constructor(
    message: string,
    readonly nextStep: string,
  ) {
    super(message);
    this.name = "Fault";
  }
}

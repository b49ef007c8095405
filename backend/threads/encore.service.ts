import { Service } from "encore.dev/service";
import "../jobs/worker"; // a service without endpoints is left out of the bundle (by Encore's bundler as by ours): its users bring it in
import "./turns/keeper"; // begins with the process: ends what a dead one left behind

/** The product: threads, who takes part, what is said, the turns that agents take, and the stream of it all. */
export default new Service("threads");

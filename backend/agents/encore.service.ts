import { Service } from "encore.dev/service";

/** Agents and their versions: each version is one agent in Letta, the memory is shared by all versions of an agent. */
export default new Service("agents");

import { Service } from "encore.dev/service";

/** Who is calling: organizations, their people, and the keys of their programs. */
export default new Service("organizations");
